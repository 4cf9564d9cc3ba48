/** What must not get through: iptables-legacy. */

import { attack } from '../support/nat-attacks.ts'
import { iptablesLegacy } from '../support/nat-site.ts'

attack(iptablesLegacy)
