/** Scripts that start the daemon where there is no systemd. */

export const SCRIPT = '/etc/init.d/tsnetd'

const DESCRIPTION = 'Ports of containers on this host (tsnet)'
const ARGUMENTS = 'daemon --config /etc/tsnet/tsnetd.json'
const PID_FILE = '/run/tsnetd.pid'
const LOG = '/var/log/tsnetd.log'

/** openrc-run(8). */
export const openrcScript = (executable: string): string => `#!/sbin/openrc-run
description="${DESCRIPTION}"
command="${executable}"
command_args="${ARGUMENTS}"
command_background=true
pidfile="${PID_FILE}"
output_log="${LOG}"
error_log="${LOG}"
extra_started_commands="reload"

depend() {
  after firewall net
  before docker containerd
}

reload() {
  ebegin "Reading the settings again"
  start-stop-daemon --signal HUP --pidfile "$pidfile"
  eend $?
}
`

/** In plain sh, with the comments that insserv(8) reads. */
export const sysvScript = (executable: string): string => `#!/bin/sh
### BEGIN INIT INFO
# Provides:          tsnetd
# Required-Start:    $remote_fs $network
# Required-Stop:     $remote_fs $network
# X-Start-Before:    docker containerd
# Default-Start:     2 3 4 5
# Default-Stop:      0 1 6
# Short-Description: ${DESCRIPTION}
### END INIT INFO

PID_FILE=${PID_FILE}

pid() {
  read -r pid 2>/dev/null <$PID_FILE && kill -0 "$pid" 2>/dev/null && echo "$pid"
}

start() {
  pid >/dev/null && return
  setsid ${executable} ${ARGUMENTS} </dev/null >>${LOG} 2>&1 &
  echo $! >$PID_FILE
}

stop() {
  running=$(pid) || return 0
  kill "$running"
  while kill -0 "$running" 2>/dev/null; do sleep 0.1; done
  rm -f $PID_FILE
}

case "$1" in
  start) start ;;
  stop) stop ;;
  restart | force-reload) stop; start ;;
  reload) kill -HUP "$(pid)" ;;
  status) if pid >/dev/null; then echo "tsnetd runs"; else echo "tsnetd does not run"; exit 3; fi ;;
  *) echo "usage: $0 start|stop|restart|reload|status" >&2; exit 2 ;;
esac
`
