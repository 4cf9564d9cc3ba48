/** What is found, and how much it matters. */

export interface Finding {
  level: 'error' | 'warning' | 'note'
  /** Index of the plugin in the list; absent: it is about the list itself. */
  plugin?: number
  message: string
}

/** A container would not come up. */
export const error = (message: string): Finding => ({ level: 'error', message })

/** It would, and something is not as it was meant. */
export const warning = (message: string): Finding => ({ level: 'warning', message })

/** Worth knowing. */
export const note = (message: string): Finding => ({ level: 'note', message })
