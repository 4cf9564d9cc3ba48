/** Rule sets of the nftables backend, through the nft command. */

import { rules } from '../support/nat-rules.ts'
import { nftCommand } from '../support/nat-site.ts'

rules(nftCommand)
