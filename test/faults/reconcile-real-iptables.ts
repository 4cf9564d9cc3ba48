/** What real programs take away comes back: the iptables backend. */

import { iptablesNft } from '../support/nat-site.ts'
import { takeReally } from '../support/real-takers.ts'

takeReally(iptablesNft)
