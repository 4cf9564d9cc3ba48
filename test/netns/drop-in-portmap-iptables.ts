/** The drop-in plugin portmap: iptables-nft. */

import { iptablesNft } from '../support/nat-site.ts'
import { portmap } from '../support/portmap.ts'

portmap(iptablesNft)
