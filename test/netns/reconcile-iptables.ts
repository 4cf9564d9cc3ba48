/** What others take away comes back: the iptables backend. */

import { iptablesNft } from '../support/nat-site.ts'
import { take } from '../support/takers.ts'

take(iptablesNft)
