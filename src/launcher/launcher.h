/* What the files of the launcher know of each other. */

/* Plays Docker's userland proxy. Comes back where Node has to. */
void docker_proxy(char **words);

/* A connection to the daemon's control socket; -1 where nobody listens. */
int connect_daemon(void);

/* Comes back when a daemon is ready, or could not be started: then nobody else tries for this time. */
void start_daemon(int pause_ms);
