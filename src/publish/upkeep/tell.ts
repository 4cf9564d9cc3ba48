/** Who hears what happens to publications: the daemon's log, and whoever asked for events. */

import type { Container, Publication, PublicationEvent } from '../../model/publication/publication.ts'

/** Hears what happens to a publication; of waiting why, and where it led before where it leads elsewhere now. */
export type Tell = (
  event: PublicationEvent,
  about: Publication,
  more?: { why?: string | undefined; from?: readonly Container[] },
) => void
