/** What others take away comes back: the legacy variant of iptables, which tells nobody of its changes. */

import { iptablesLegacy } from '../support/nat-site.ts'
import { take } from '../support/takers.ts'

take(iptablesLegacy)
