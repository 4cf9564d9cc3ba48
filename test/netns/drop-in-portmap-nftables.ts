/** The drop-in plugin portmap: libnftables. */

import { libnftables } from '../support/nat-site.ts'
import { portmap } from '../support/portmap.ts'

portmap(libnftables)
