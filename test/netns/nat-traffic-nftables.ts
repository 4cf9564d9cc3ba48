/** Who reaches whom, and as whom: libnftables. */

import { libnftables } from '../support/nat-site.ts'
import { traffic } from '../support/nat-traffic.ts'

traffic(libnftables)
