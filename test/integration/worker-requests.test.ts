import { describe, expect, it } from 'vitest'
import { Cluster } from '../support/cluster.ts'
import type { Peer } from '../support/peer.ts'
import { startPlainServer } from '../support/plain-server.ts'

/** A machine that runs other tests starts processes slowly. */
const TIMEOUT = 60_000

/** `who` gives the id of a client, and any other line asks: `match ID TEXT`, `next ID TEXT`,
 * `tag NAME TEXT`, `plc TEXT`. `iam NAME` gives it a name. */
const config = (plc = 1) => `
listen:
  shell:
    host: 127.0.0.1
    port: 0
    dataflow:
      - map: '{"words": msg.split(" "), "line": msg}'
      - route:
          - if: msg.line == "who"
            dataflow: [ reply: "\${client.id}" ]
          - if: msg.words[0] == "match"
            dataflow:
              - request:
                  to: { client: "\${msg.words[1]}" }
                  text: "Q \${msg.words[2]}"
                  match: answer == "A " + msg.words[2] + " for " + client.id
                  timeout: 30s
              - reply: "got \${msg}"
          - if: msg.words[0] == "next"
            dataflow:
              - request: { to: { client: "\${msg.words[1]}" }, text: "Q \${msg.words[2]}", timeout: 1m, whenTimedOut: forget }
                timeout: 3s
              - reply: "got \${msg}"
          - if: msg.words[0] == "iam"
            dataflow: [ set: { client.tags.name: "msg.words[1]" }, reply: "hello \${msg.words[1]}" ]
          - if: msg.words[0] == "tag"
            dataflow:
              - request: { to: { tag: name, value: "msg.words[1]" }, text: "Q \${msg.words[2]}" }
              - reply: "got \${msg}"
          - if: msg.words[0] == "send"
            dataflow: [ send: { to: { client: "\${msg.words[1]}" }, text: "\${msg.words[2]}" }, reply: sent ]
          - if: msg.words[0] == "plc"
            dataflow:
              - request: { to: { endpoint: plc }, text: "\${msg.words[1]}", match: 'answer.contains(msg.words[1])' }
              - reply: "got \${msg}"
    onError:
      - reply: "\${error.code}: \${error.message}"
connect:
  plc: { host: 127.0.0.1, port: ${plc}, dataflow: [ log: unasked ] }
  scales: { hosts: { left: "127.0.0.1:${plc}" }, dataflow: [ log: unasked ] }
`

/** A client of each worker, with its id. */
async function connectToBoth(cluster: Cluster) {
  const peers = await Promise.all([cluster.connect(), cluster.connect()])
  const ids = await Promise.all(peers.map(async (peer) => (await peer.send('who\n').hear('\n')).trim()))
  expect(ids.map((id) => id.slice(0, 'shell-1'.length)).sort()).toEqual(['shell-1', 'shell-2'])
  return { asker: peers[0]!, askerId: ids[0]!, asked: peers[1]!, askedId: ids[1]! }
}

const close = (...peers: Peer[]) => Promise.all(peers.map((peer) => peer[Symbol.asyncDispose]()))

describe('request to a client of another worker', { timeout: TIMEOUT }, () => {
  it('knows its answer by match, whatever else comes, and the rest goes its way', async () => {
    await using cluster = await new Cluster().start(config())
    const { asker, askerId, asked, askedId } = await connectToBoth(cluster)
    asker.send(`match ${askedId} x\n`)
    await asked.hear('Q x\n')
    asked.send(`A x\nwho\nA x for ${askerId}\n`)
    await asker.hear(`got A x for ${askerId}\n`)
    await asked.until(({ text }) => text.split(askedId).length === 3)
    await close(asker, asked)
  })

  it('takes the next message without match, and is given up there when it is here', async () => {
    await using cluster = await new Cluster().start(config())
    const { asker, asked, askedId } = await connectToBoth(cluster)
    asker.send(`next ${askedId} one\n`)
    await asked.hear('Q one\n')
    asked.send('1\n')
    await asker.hear('got 1\n')
    await asker.send(`next ${askedId} two\n`).hear('step_timeout: ')
    // It is sent when nobody waits for the answer to the one before.
    asker.send(`next ${askedId} three\n`)
    await asked.hear('Q three\n')
    asked.send('3\n')
    await asker.hear('got 3\n')
    await close(asker, asked)
  })

  it('reaches what an endpoint has, whichever worker dials it', async () => {
    await using plc = await startPlainServer((line) => `<${line}>`)
    await using cluster = await new Cluster().start(config(plc.at.port))
    await plc.until(({ accepted }) => accepted === 2)
    const { asker, asked } = await connectToBoth(cluster)
    await asker.send('plc a\n').hear('got <a>\n')
    await asked.send('plc b\n').hear('got <b>\n')
    // The id of a device does not name its worker.
    await asker.send('next left c\nsend left d\n').hear('got <Q c>\nsent\n')
    await asked.send('next left e\nsend left f\n').hear('got <Q e>\nsent\n')
    await plc.until(({ lines }) => lines.includes('d') && lines.includes('f'))
    expect(plc.accepted).toBe(2)
    await close(asker, asked)
  })

  it('reaches the one that has a tag', async () => {
    await using cluster = await new Cluster().start(config())
    const { asker, asked } = await connectToBoth(cluster)
    await asker.send('tag saw x\n').hear('client_unknown: no client whose tag name is "saw" is connected\n')
    await asked.send('iam saw\n').hear('hello saw\n')
    asker.send('tag saw x\n')
    await asked.hear('Q x\n')
    asked.send('yes\n')
    await asker.hear('got yes\n')
    await close(asker, asked)
  })

  it('says that nobody has the id, that no client of an endpoint is there, and that its worker has ended', async () => {
    await using cluster = await new Cluster().start(config())
    const { asker, asked, askedId } = await connectToBoth(cluster)
    await asker.send('match shell-2.99 x\nmatch nobody x\nplc a\n').hear('plc')
    await asker.hear('client_unknown: no client "shell-2.99" is connected\n')
    await asker.hear('client_unknown: no client "nobody" is connected\n')
    await asker.hear('client_unknown: no client of "plc" is connected\n')
    asker.send(`match ${askedId} x\n`)
    await asked.hear('Q x\n')
    const worker = Number(/^shell-(\d)/.exec(askedId)![1])
    process.kill(cluster.all('worker.started').findLast((started) => started.worker === worker)!.pid, 'SIGKILL')
    await asker.hear('wait_failed: the worker that the client was connected to has ended\n')
    await close(asker, asked)
  })
})
