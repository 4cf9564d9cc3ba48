import fc from 'fast-check'
import t from 'tap'
import { type Linked, Recency } from '../../../src/proxy/datagram/recency.ts'

interface Item extends Linked<Item> {
  name: number
}

t.test('the oldest is who was used longest ago', async t => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(9), fc.boolean())), steps => {
        const recency = new Recency<Item>()
        const items = Array.from(
          { length: 10 },
          (_, name): Item => ({ name, older: undefined, newer: undefined }),
        )
        let model: number[] = []
        for (const [name, uses] of steps) {
          const item = items[name]
          if (item === undefined) continue
          const known = model.includes(name)
          model = model.filter(other => other !== name)
          if (!known) recency.add(item)
          else if (uses) recency.touch(item)
          else recency.remove(item)
          if (!known || uses) model.push(name)
        }
        const order: number[] = []
        for (let item = recency.oldest; item !== undefined; item = item.newer) order.push(item.name)
        return JSON.stringify(order) === JSON.stringify(model)
      }),
    ),
  )
})
