import t from 'tap'
import { readContainerdConfig } from '../../src/runtime/containerd-config.ts'
import { placesOf } from '../../src/runtime/places.ts'
import { writeFiles } from '../support/runtime-files.ts'

t.test('runtimes are where they are by default', async t => {
  const root = t.testdir()
  const places = placesOf({}, root)
  t.equal(places.dockerSocket, `${root}/run/docker.sock`)
  t.equal(places.podmanSocket, `${root}/run/podman/podman.sock`)
  t.equal(places.storage, `${root}/var/lib/containers/storage`)
  t.equal(places.lxc, `${root}/var/lib/lxc`)
  t.same(places.containerd, [`${root}/run/containerd`, `${root}/run/k3s/containerd`])
})

t.test('the variables of their own clients move them', async t => {
  const root = t.testdir()
  writeFiles(root, { 'srv/storage.conf': '[storage]\n# graphroot = "/no"\n  graphroot = "/srv/podman"\n' })
  const places = placesOf(
    {
      DOCKER_HOST: 'unix:///srv/docker.sock',
      CONTAINER_HOST: 'tcp://elsewhere:1',
      CONTAINERD_ADDRESS: 'unix:///srv/containerd/socket',
      CONTAINERS_STORAGE_CONF: '/srv/storage.conf',
    },
    root,
  )
  t.equal(places.dockerSocket, `${root}/srv/docker.sock`)
  t.equal(places.podmanSocket, `${root}/run/podman/podman.sock`, 'what is no unix socket is left alone')
  t.same(places.containerd, [`${root}/srv/containerd`])
  t.equal(places.storage, `${root}/srv/podman`)
})

t.test('what containerd and containers/storage say is read as TOML', async t => {
  for (const [text, storage] of [
    ["[storage]\ngraphroot = '/data'\n", '/data'],
    ['storage = { driver = "vfs", graphroot = "/inline" }\n', '/inline'],
    ['storage.graphroot = """\n/dotted"""\n', '/dotted'],
    ['[storage]\n"graphroot"="/quo\\u0074ed" # graphroot = "/no"\n', '/quoted'],
    ['[other]\ngraphroot = "/no"\n[storage]\ngraphroot = "/right"\n', '/right'],
    ['# [no]\n\t# \'\n[storage]\ngraphroot = "/right#" # not \'\n', '/right#'],
    ['[storage]\ngraphroot = """\n# /no comment"""\n', '# /no comment'],
    ['[storage]\nrunroot = """\ngraphroot = "/no"\n"""\n', '/var/lib/containers/storage'],
    ['[storage]\ngraphroot = 1\n', '/var/lib/containers/storage'],
    ['graphroot "/no TOML"\n', '/var/lib/containers/storage'],
  ] as const) {
    const root = t.testdir()
    writeFiles(root, { 'etc/containers/storage.conf': text })
    t.equal(placesOf({}, root).storage, root + storage, text)
  }
})

t.test("containerd's state is where its configuration says, imports included", async t => {
  const root = t.testdir()
  const write = (files: Record<string, string>) => writeFiles(root, files)
  const states = (address?: string) => {
    const found = placesOf(address === undefined ? {} : { CONTAINERD_ADDRESS: address }, root).containerd
    return found.map(each => each.slice(root.length))
  }
  write({
    'etc/containerd/config.toml': "version = 2\nstate = '/srv/state'\n[grpc]\naddress = '/srv/sock'\n",
  })
  t.same(states(), ['/srv/state', '/run/k3s/containerd'])
  t.same(states('unix:///srv/sock'), ['/srv/state'], 'its socket may lie elsewhere')
  t.same(states('/other/sock'), ['/other'], 'another one')
  write({
    'etc/containerd/config.toml': 'state = "/first"\nimports = ["conf.d/*.toml", "/gone.toml"]\n',
    'etc/containerd/conf.d/a.toml': 'state = "/second"\nimports = ["/etc/containerd/config.toml"]\n',
    'etc/containerd/conf.d/b.toml': 'version = 2\n',
    'etc/containerd/conf.d/c.toml.old': 'state = "/no"\n',
  })
  t.same(states(), ['/second', '/run/k3s/containerd'])
})

t.test("where containerd's pods get their plugins from, in each version of its configuration", async t => {
  const root = t.testdir()
  const folders = (text: string) => {
    writeFiles(root, { 'etc/containerd/config.toml': text })
    return readContainerdConfig(root).pluginFolders
  }
  t.same(folders('[plugins."io.containerd.grpc.v1.cri".cni]\nbin_dir = "/usr/lib/cni"\n'), ['/usr/lib/cni'])
  t.same(folders("[plugins.'io.containerd.cri.v1.runtime'.cni]\nbin_dirs = ['/a', '/b']\n"), ['/a', '/b'])
  t.same(folders('version = 3\n'), [])
})

t.test('settings of the system move them', async t => {
  const root = t.testdir()
  writeFiles(root, {
    'etc/lxc/lxc.conf': '# lxc.lxcpath = /no\nlxc.lxcpath = /srv/my lxc/ \n',
    'etc/containers/storage.conf': '[storage]\ndriver = "overlay"\n',
    'usr/share/containers/storage.conf': '[storage]\ngraphroot = "/srv/unused"\n',
  })
  const places = placesOf({}, root)
  t.equal(places.lxc, `${root}/srv/my lxc`)
  t.equal(places.storage, `${root}/var/lib/containers/storage`, 'the first file counts as a whole')
})
