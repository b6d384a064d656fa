// The client's side of the library, beside a server that plays the device: questions in JSON, each with an id.
import { connect, createPool, createServer, format, listen } from 'sluice'

interface Question {
  readonly id: number
  readonly channel: string
}

interface Answer {
  /** Missing in what the device says by itself. */
  readonly id?: number
  readonly channel: string
  readonly value: number
}

const values: Readonly<Record<string, number>> = { temperature: 21.5, humidity: 40, pressure: 1013 }

await using device = createServer({
  listen: {
    meter: listen({
      host: '127.0.0.1',
      port: 0,
      format: format.json<Question>(),
      dataflow: (flow) =>
        flow
          .filter(({ channel }) => channel in values)
          .reply({ value: ({ id, channel }) => ({ id, channel, value: values[channel] }) }),
    }),
  },
})
await device.start()
const { port } = device.address('meter')!

const meter = {
  host: '127.0.0.1',
  port,
  format: { in: format.json<Answer>(), out: format.json<Question>() },
  // Answers are told apart by their id, so one that never comes holds nobody up.
  id: { in: (answer: Answer) => answer.id, out: (question: Question) => question.id },
}

await using connection = await connect({ ...meter, reconnect: true, timeout: '3s' })
connection.events.on('connection.lost', ({ error }) => console.log(`lost: ${error?.message ?? 'closed by the device'}`))

// Three questions with one write; nobody waits for the answer to another.
const answers = await Promise.all(
  Object.keys(values).map((channel, id) => connection.request({ id, channel }, { timeout: '2s' })),
)
for (const { channel, value } of answers) console.log(`${channel} is ${value}`)

// A question that this device leaves without an answer.
const failed = connection.request({ id: 7, channel: 'voltage' }, { timeout: 50 })
await failed.catch((error: Error) => console.log(`voltage: ${error.message}`))

// What the device says by itself is read with a loop.
device.clients.send({ all: true }, 'value', { channel: 'alarm', value: 1 })
for await (const { channel, value } of connection) {
  console.log(`${channel} is ${value}`)
  break
}

// Many at a time, over at most two connections.
await using pool = createPool({ ...meter, max: 2, idleTimeout: '10s' })
const many = await Promise.all(Array.from({ length: 100 }, (_, id) => pool.request({ id, channel: 'pressure' })))
console.log(`${many.length} answers over ${pool.size} connections`)
