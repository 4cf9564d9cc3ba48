import t from 'tap'
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

t.test('settings of the system move them', async t => {
  const root = t.testdir()
  writeFiles(root, {
    'etc/lxc/lxc.conf': '# lxc.lxcpath = /no\nlxc.lxcpath = /srv/lxc\n',
    'etc/containers/storage.conf': '[storage]\ndriver = "overlay"\n',
    'usr/share/containers/storage.conf': '[storage]\ngraphroot = "/srv/unused"\n',
  })
  const places = placesOf({}, root)
  t.equal(places.lxc, `${root}/srv/lxc`)
  t.equal(places.storage, `${root}/var/lib/containers/storage`, 'the first file counts as a whole')
})
