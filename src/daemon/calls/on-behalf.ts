/** What the daemon does for somebody else has his environment, directory and stderr; the rest has its own. */

import { AsyncLocalStorage } from 'node:async_hooks'
import { findSurroundings, type Surroundings } from '../../model/surroundings.ts'

const storage = new AsyncLocalStorage<Surroundings>()
findSurroundings(() => storage.getStore())

/** Does work, and all that it waits for, with the surroundings of whoever asked for it. */
export const onBehalfOf = <T>(caller: Surroundings, work: () => Promise<T>): Promise<T> =>
  storage.run(caller, work)
