/**
 * A call that publishes starts a daemon where none runs. In tests it does so only where that is what is tested: a
 * host is to be as before once all is taken down, and a daemon goes on for a minute.
 */
export const NO_DAEMON = { TSNET_DAEMON: 'running' } as const
