/** What real programs take away comes back: the nftables backend. */

import { nftables } from '../support/nat-site.ts'
import { takeReally } from '../support/real-takers.ts'

takeReally(nftables)
