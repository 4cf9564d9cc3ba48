/** Who makes room for others. */

import fc from 'fast-check'
import t from 'tap'
import { type Guest, type Place, Room, Rooms } from '../../../src/proxy/datagram/room.ts'

interface Someone extends Guest {
  name: string
  activeAt: number
  answered: boolean
}

const someone = (name: string, activeAt: number, answered: boolean): Someone => ({ name, activeAt, answered })

/** A room with guests, in the order of their last use. */
function roomOf(...guests: Someone[]): Room<Someone> {
  const room = new Room<Someone>(guests.length)
  for (const guest of guests.toSorted((a, b) => a.activeAt - b.activeAt)) room.enter(guest)
  return room
}

t.test('of those who are idle as long, who never got an answer goes first', async t => {
  const room = roomOf(someone('talks', 1000, true), someone('forged', 1000, false))
  t.ok(room.isFull)
  t.equal(room.leaver(61_000)?.name, 'forged')
  t.equal(roomOf().leaver(0), undefined)
})

t.test('who is active stays where somebody is idle, answered or not', async t => {
  // One who waits for the first answer, or only ever sends, and one who said nothing for a minute.
  t.equal(roomOf(someone('idle', 0, true), someone('asks', 59_990, false)).leaver(60_000)?.name, 'idle')
  t.equal(roomOf(someone('idle', 0, false), someone('talks', 59_990, true)).leaver(60_000)?.name, 'idle')
  t.equal(
    roomOf(someone('talked', 56_000, true), someone('asks', 59_999, false)).leaver(60_000)?.name,
    'asks',
  )
  // A flood pushes out itself.
  const flood = Array.from({ length: 100 }, (_, i) => someone(`${i}`, 50_000 + i * 10, false))
  t.equal(roomOf(someone('talks', 45_000, true), ...flood).leaver(52_000)?.name, '0')
})

t.test('who leaves is the longest idle of the answered or of the others, whatever has happened', async () => {
  const step = fc.tuple(fc.nat(9), fc.constantFrom('use', 'answer', 'leave'))
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), steps => {
      const room = new Room<Someone>(4)
      const here = new Map<string, Place<Someone>>()
      let now = 0
      for (const [number, what] of steps) {
        now++
        const name = `${number}`
        const place = here.get(name)
        if (place === undefined) here.set(name, room.enter(someone(name, now, what === 'answer')))
        else if (what === 'leave') {
          room.leave(place)
          here.delete(name)
        } else if (what === 'answer' && !place.guest.answered) {
          room.promote(place)
          place.guest.answered = true
          place.guest.activeAt = now
        } else {
          room.touch(place)
          place.guest.activeAt = now
        }
      }
      const guests = [...here.values()].map(({ guest }) => guest)
      const least = (answered: boolean) =>
        guests.filter(each => each.answered === answered).toSorted((a, b) => a.activeAt - b.activeAt)[0]
      const leaver = room.leaver(now + 1)
      return (
        room.isFull === guests.length >= 4 &&
        (guests.length === 0
          ? leaver === undefined
          : leaver !== undefined && leaver === least(leaver.answered))
      )
    }),
  )
})

t.test('a room is there while somebody is in it', async t => {
  const rooms = new Rooms<Someone>(1)
  t.equal(rooms.find('a'), undefined)
  const room = rooms.open('a')
  const place = room.enter(someone('x', 0, false))
  t.equal(rooms.open('a'), room)
  room.promote(place)
  t.equal(rooms.find('a'), room)
  place.guest.answered = true
  room.leave(place)
  t.equal(rooms.find('a'), undefined)
})
