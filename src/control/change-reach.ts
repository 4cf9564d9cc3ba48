/** Changes whom a container may reach, with the daemon that tells it names: it is started where the list has some. */

import { type Changed, changeReach as change } from '../network/reach/change.ts'
import { holderOfNames } from './held-ports.ts'

/** @throws TsnetError as network/reach/, and `try-again` where names would lead nowhere */
export const changeReach = (...[owner, asked, context]: Parameters<typeof change>): Promise<Changed> =>
  change(owner, asked, { ...context, findTeller: holderOfNames })
