/** Who reaches whom, and as whom: iptables-legacy. */

import { iptablesLegacy } from '../support/nat-site.ts'
import { traffic } from '../support/nat-traffic.ts'

traffic(iptablesLegacy)
