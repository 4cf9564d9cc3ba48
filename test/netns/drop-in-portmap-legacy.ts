/** The drop-in plugin portmap: iptables-legacy. */

import { iptablesLegacy } from '../support/nat-site.ts'
import { portmap } from '../support/portmap.ts'

portmap(iptablesLegacy)
