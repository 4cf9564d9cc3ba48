/** What must not get through: iptables-nft. */

import { attack } from '../support/nat-attacks.ts'
import { iptablesNft } from '../support/nat-site.ts'

attack(iptablesNft)
