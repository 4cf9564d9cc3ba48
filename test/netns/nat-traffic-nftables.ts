/** Who reaches whom, and as whom: nftables. */

import { nftables } from '../support/nat-site.ts'
import { traffic } from '../support/nat-traffic.ts'

traffic(nftables)
