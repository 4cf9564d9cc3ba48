/** What the daemon does for somebody else has his environment, directory and stderr; the rest has its own. */

import { AsyncLocalStorage } from 'node:async_hooks'
import { findSurroundings, type Surroundings, surroundings } from '../../model/surroundings.ts'

const storage = new AsyncLocalStorage<Surroundings>()
findSurroundings(() => storage.getStore())

/** Does work, and all that it waits for, with the surroundings of whoever asked for it. */
export const onBehalfOf = <T>(caller: Surroundings, work: () => Promise<T>): Promise<T> =>
  storage.run(caller, work)

/** Does work with our own surroundings, of which somebody wants to hear what it changes. */
export const hearing = <T>(tell: (change: string) => void, work: () => Promise<T>): Promise<T> =>
  onBehalfOf({ ...surroundings(), tell }, work)
