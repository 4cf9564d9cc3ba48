/** A process that comes to an input which is read for ever. */

import { startWatchdog } from './watchdog.ts'

const watchdog = startWatchdog(1000)
watchdog.watch('--only planted --seed 7')
// The thread that watches has to have begun.
setTimeout(() => {
  watchdog.tick(3)
  for (;;);
}, 500)
