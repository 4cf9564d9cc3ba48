import t from 'tap'
import { rootsToGoTo } from '../../src/daemon/control-group.ts'

const mount = (point: string, type: string, options: string, root = '/') =>
  `40 31 0:37 ${root} ${point} rw,relatime shared:9 - ${type} none rw,${options}`

t.test(
  'a daemon leaves the hierarchies by which service managers know what is theirs, and no other',
  async t => {
    const hybrid = [
      mount('/sys/fs/cgroup/memory', 'cgroup', 'memory'),
      mount('/sys/fs/cgroup/systemd', 'cgroup', 'xattr,name=systemd'),
      mount('/sys/fs/cgroup/unified', 'cgroup2', 'nsdelegate'),
    ].join('\n')
    const web = '/system.slice/web.service'
    t.same(rootsToGoTo(`4:memory:${web}\n1:name=systemd:${web}\n0::${web}\n`, hybrid), [
      '/sys/fs/cgroup/systemd',
      '/sys/fs/cgroup/unified',
    ])
    t.same(rootsToGoTo(`4:memory:${web}\n1:name=systemd:/\n0::/\n`, hybrid), [])
    t.same(rootsToGoTo(`0::${web}\n`, mount('/sys/fs/cgroup', 'cgroup2', 'nsdelegate')), ['/sys/fs/cgroup'])
    t.same(rootsToGoTo(`0::${web}\n`, mount('/mnt', 'cgroup2', 'x', '/part')), [], 'a part of it is no root')
    t.same(rootsToGoTo('0::/a\n', 'nonsense\n'), [])
  },
)
