/** Publications as they are written down. */

import type { Publication } from '../../src/model/publication/publication.ts'

/** A publication of no container, with what a test has to say about it. */
export const publication = (more: Partial<Publication>): Publication => ({
  id: '0123456789abcdef',
  protocol: 'tcp',
  hostPort: 8080,
  count: 1,
  target: { port: 80 },
  containers: [],
  createdAt: '2026-01-01T00:00:00.000Z',
  mode: 'auto',
  via: 'auto',
  allow: [],
  deny: [],
  waitMs: 0,
  drainMs: 0,
  ...more,
})
