// A server inside a program of your own: no YAML, and the type of `msg` is known at every step of the chain.
import { connect, createServer, format, listen, sink } from 'sluice'

interface Reading {
  readonly device: string
  readonly celsius: number
}

await using server = createServer({
  listen: {
    scales: listen({
      host: '127.0.0.1',
      port: 0,
      format: format.json<Reading>(),
      dataflow: (flow) =>
        flow
          .filter((msg) => msg.celsius > 30, { else: (cold) => cold.reply((msg) => `SKIP ${msg.device}`) })
          .map((msg) => ({ device: msg.device, fahrenheit: (msg.celsius * 9) / 5 + 32 }))
          .to(sink.sqlite({ file: 'readings.db', table: 'readings' }))
          .reply((msg, { client }) => `OK ${msg.device} at ${client.ip}: ${msg.fahrenheit} °F are stored`),
    }),
  },
})
await server.start()
const { port } = server.address('scales')!
console.log(`listening on port ${port}`)

// The same framings and formats make a client: readings out, lines of text in.
await using scale = await connect({
  host: '127.0.0.1',
  port,
  format: { in: format.text(), out: format.json<Reading>() },
})
for (const celsius of [20, 35]) console.log(await scale.request({ device: 'scale-7', celsius }))
