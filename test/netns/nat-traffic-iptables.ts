/** Who reaches whom, and as whom: iptables-nft. */

import { iptablesNft } from '../support/nat-site.ts'
import { traffic } from '../support/nat-traffic.ts'

traffic(iptablesNft)
