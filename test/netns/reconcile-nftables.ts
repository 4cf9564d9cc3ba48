/** What others take away comes back: the nftables backend. */

import { nftables } from '../support/nat-site.ts'
import { take } from '../support/takers.ts'

take(nftables)
