/** What each command is called like, for its help and its manual page: the first is the commonest. */

export interface Example {
  /** As it is typed, after `tsnet `. */
  words: string
  /** What it does. */
  does: string
}

/** By the words of the command. */
export const EXAMPLES: Readonly<Record<string, readonly Example[]>> = {
  demo: [
    { words: 'demo', does: 'draw a network, publish a port and fetch a page, in namespaces of its own' },
  ],
  publish: [
    { words: 'publish 8080:80 web', does: 'port 80 of web, on every address of this host' },
    { words: 'publish web', does: 'all that web listens on, each on a free port' },
    { words: 'publish 127.0.0.1:5432:5432 docker:db', does: "Docker's db, for this host alone" },
    { words: 'publish 80:8080 web1,web2 --wait 10s', does: 'two that share the load, waited for' },
    { words: 'publish --keep 8080:80 docker:web', does: 'again whenever web is back, also after a reboot' },
    {
      words: 'publish --reverse 5432:5432 web',
      does: "the host's database on the loopback of web, for it alone",
    },
    {
      words: 'publish 9229:9229 pid:812 --via netns --allow 10.0.0.0/8 --expires 1h',
      does: 'a debugger on loopback of a process, for colleagues, for an hour',
    },
  ],
  unpublish: [
    { words: 'unpublish 8080', does: 'what has this port of the host' },
    { words: 'unpublish web', does: 'all that leads to web' },
    { words: 'unpublish --all', does: 'everything that was published by tsnet publish' },
  ],
  ports: [
    { words: 'ports', does: 'what tsnet publish published' },
    { words: 'ports --all --filter state=serving', does: 'by CNI and Docker too, as far as it is served' },
    { words: 'ports --watch', does: 'again whenever something changes' },
    { words: "ports --format '{{.Host}} {{.Container}}'", does: 'two columns, for scripts' },
  ],
  reconcile: [
    { words: 'reconcile', does: 'put back what a reload of the firewall took' },
    { words: 'reconcile --dry-run', does: 'only say what is lacking' },
  ],
  gc: [
    { words: 'gc --dry-run', does: 'only say what is left of containers that are no more' },
    { words: 'gc', does: 'remove it' },
  ],
  daemon: [
    { words: 'daemon', does: 'serve what is published, until it is told to stop' },
    { words: 'daemon --metrics 127.0.0.1:9808', does: 'with numbers for Prometheus' },
    { words: 'daemon --replace', does: 'take over from the one that runs: an upgrade that nobody notices' },
  ],
  doctor: [
    { words: 'doctor', does: 'everything on this host' },
    { words: 'doctor 8080', does: 'what is between clients and this port' },
    { words: 'doctor front --fix', does: "a network; mend what is tsnet's own, asking first" },
  ],
  events: [
    { words: 'events', does: 'everything, a line each' },
    { words: 'events --filter container=web --json', does: 'what happens to one container, for programs' },
  ],
  top: [
    { words: 'top', does: 'live, until q' },
    { words: 'top --once --json', does: 'one frame, for programs' },
  ],
  trace: [
    { words: 'trace 8080', does: 'as a client on this host' },
    { words: 'trace 53/udp --from 192.0.2.7', does: 'as a client of this address, from outside' },
  ],
  'egress learn': [
    { words: 'egress learn web --for 10m', does: 'an entry a line, once ten minutes are over' },
    { words: 'egress learn web --json', does: 'until Ctrl-C; to be pasted as egress.allow' },
  ],
  'egress set': [
    { words: 'egress set web 192.0.2.7:5432 dns', does: 'from now on these, and nobody else' },
    { words: 'egress set web --deny --dry-run', does: 'only say what of its connections would end' },
  ],
  'egress ls': [
    {
      words: 'egress ls web',
      does: 'each entry of its list with its packets, and what was denied; ls need not be said',
    },
    {
      words: 'egress ls web --quiet --filter outcome=denied',
      does: 'entries that would allow what it tried',
    },
  ],
  resolve: [
    { words: 'resolve web', does: 'its addresses' },
    { words: 'resolve 10.42.0.2 --network front', does: 'whose address that is' },
  ],
  graph: [
    { words: 'graph', does: 'in the terminal' },
    { words: 'graph --all --svg host.svg', does: 'everything, as a picture' },
    { words: 'graph --serve', does: 'as a page, while it changes: open the address that is printed' },
  ],
  'network create': [
    { words: 'network create front', does: 'IPv4, on a subnet that nothing of the host uses' },
    {
      words: 'network create front --ipv6 --names',
      does: 'both families, and containers find each other by name',
    },
    { words: 'network create back --internal --subnet 10.42.0.0/24', does: 'without a way out' },
    {
      words: 'network create lan --layer2 --interface-name br0',
      does: 'ports of a bridge that is there, such as of an interface of the host',
    },
    { words: 'network create wire --layer2 --uplink eth1', does: 'on the wire that eth1 is on' },
  ],
  'network ls': [
    { words: 'network ls', does: 'those of every runtime' },
    { words: 'network ls --quiet --filter made=true', does: 'names of those that tsnet made' },
  ],
  'network inspect': [
    { words: 'network inspect front', does: 'its subnets, addresses left, and who is on it' },
  ],
  'host ls': [
    { words: 'host ls', does: 'every host, with its prefixes' },
    { words: 'host ls --filter state=silent', does: 'those of which only the prefix is left' },
  ],
  'host inspect': [{ words: 'host inspect node7', does: 'where it is, and when it was last heard of' }],
  'host drain': [
    { words: 'host drain', does: 'services of all hosts lead to no container of this one any more' },
    { words: 'host drain node7 --undo', does: 'and to those of that one again' },
  ],
  'host forget': [{ words: 'host forget node7', does: 'its prefix is free for others' }],
  'network rm': [
    { words: 'network rm front', does: 'when nobody is on it' },
    { words: 'network rm --force front back', does: 'and take off who is' },
  ],
  ps: [
    { words: 'ps', does: 'who is on which network' },
    { words: 'ps --filter network=front --quiet', does: 'ids of those on one network' },
  ],
  inspect: [
    { words: 'inspect web', does: 'all about a container: its interfaces, ports, rules' },
    { words: 'inspect 8080 front --json', does: 'a port and a network, as JSON' },
  ],
  check: [
    { words: 'check', does: 'all lists where runtimes look' },
    { words: 'check ./10-front.conflist', does: 'one before it is put there' },
  ],
  attach: [
    { words: 'attach front web', does: 'a container of any runtime' },
    { words: 'attach front lxc:db --alias data --ip 10.42.0.9', does: 'with another name and this address' },
    { words: 'attach ports pid:812 -p 8080:80', does: 'the namespace of a process, with a port of the host' },
  ],
  detach: [
    { words: 'detach front web', does: 'also when it runs no more' },
    { words: 'detach front web --ifname eth1', does: 'of two interfaces this one' },
  ],
  'oci-hook': [
    { words: 'oci-hook <state.json', does: 'as runc and crun call it: see conf/oci-hook.json' },
    { words: 'oci-hook --conf-dir /etc/lists <state.json', does: 'with networks of another folder' },
  ],
  install: [
    { words: 'install --dry-run', does: 'say what would be put where' },
    { words: 'install', does: 'the plugin, a network, the command, its manual, the service' },
    { words: 'install --as all', does: 'in place of the reference plugins too' },
    { words: 'install --docker', does: "and of Docker's userland proxy" },
  ],
  uninstall: [
    { words: 'uninstall', does: 'leave the host as it was' },
    { words: 'uninstall --dry-run', does: 'only say what would go' },
  ],
}
