import { once } from 'node:events'
import { connect } from 'node:net'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Client, HL7_2_5, type Message, MLLPCodec } from 'node-hl7-client'
import { Server } from 'node-hl7-server'
import { expect, test } from 'vitest'
import { rows, startExample } from '../../support/example.ts'
import { freePort } from '../../support/free-port.ts'
import { eventually } from '../../support/parts.ts'
import { Peer } from '../../support/peer.ts'
import { type Running, start } from '../../support/server.ts'

/** The example as it is written, and a client. */
async function startWithClient() {
  return talkTo(await startExample('hl7-mllp'))
}

/** node-hl7-client, which builds, frames and sends messages and reads their answers. Ends with the server. */
function talkTo(running: Running) {
  let answer = Promise.withResolvers<Message>()
  const client = new Client({ host: '127.0.0.1', version: '2.5' })
  const connection = client.createConnection({ port: running.port(), version: '2.5' }, (response) =>
    answer.resolve(response.getMessage()),
  )
  return {
    running,
    /** Sends a message and waits for its answer: MSA-1, MSA-2 and MSA-3, and the whole of it. */
    async ask(message: Message) {
      answer = Promise.withResolvers()
      await connection.sendMessage(message)
      const given = await answer.promise
      const field = (path: string) => given.get(path).toString()
      return { code: field('MSA.1'), id: field('MSA.2'), text: field('MSA.3'), whole: given.toString() }
    },
    async [Symbol.asyncDispose]() {
      await connection.close()
      await running[Symbol.asyncDispose]()
    },
  }
}

function admission(id: string): Message {
  return header('ADT', 'A01', id)
    .buildEVN({ evn_1: 'A01', evn_2: new Date() })
    .buildPID({ pid_3: 'MRN12345', pid_5: 'DOE^JANE^A', pid_7: new Date('1980-01-01'), pid_8: 'F' })
    .toMessage()
}

function result(id: string): Message {
  return header('ORU', 'R01', id)
    .buildPID({ pid_3: 'MRN12345', pid_5: 'DOE^JANE^A' })
    .buildOBX({ obx_1: '1', obx_2: 'NM', obx_3: 'GLU^Glucose^L', obx_5: '5.24', obx_11: 'F' })
    .toMessage()
}

function header(type: string, event: string, id: string): HL7_2_5 {
  return new HL7_2_5().buildMSH({
    msh_3: 'LAB',
    msh_4: 'A',
    msh_5: 'EHR',
    msh_6: 'B',
    msh_9_1: type,
    msh_9_2: event,
    msh_10: id,
    msh_11_1: 'P',
  })
}

function stored(running: Running): unknown[] {
  return rows(running, 'hl7.db', 'SELECT control_id, type FROM messages')
}

function change({ folder }: Running, sql: string): void {
  const database = new DatabaseSync(join(folder, 'hl7.db'))
  database.exec(sql)
  database.close()
}

test('what node-hl7-client sends is stored when it hears AA', async () => {
  await using hl7 = await startWithClient()
  const { running } = hl7
  expect(await hl7.ask(admission('MSG1'))).toMatchObject({ code: 'AA', id: 'MSG1', text: '' })
  expect(stored(running)).toEqual([{ control_id: 'MSG1', type: 'ADT^A01^ADT_A01' }])
  const { code, id, whole } = await hl7.ask(result('MSG2'))
  expect([code, id]).toEqual(['AA', 'MSG2'])
  expect(whole).toMatch(/^MSH\|\^~\\&\|EHR\|B\|LAB\|A\|\d{14}[+]0000\|\|ACK\^R01\^ACK\|\w+\|P\|2\.5\rMSA\|AA\|MSG2/)
  expect(stored(running)).toHaveLength(2)
  const [row] = rows(
    running,
    'hl7.db',
    "SELECT CAST(message AS TEXT) AS message FROM messages WHERE control_id = 'MSG2'",
  )
  expect(row!['message']).toContain('\rOBX|1|NM|GLU^Glucose^L||5.24|')
})

test('a repeated MSH-10 gets the stored answer, and is stored once', async () => {
  await using hl7 = await startWithClient()
  const first = await hl7.ask(admission('MSG1'))
  expect(first.code).toBe('AA')
  expect((await hl7.ask(admission('MSG2'))).code).toBe('AA')
  expect(await hl7.ask(admission('MSG1'))).toEqual(first)
  expect(stored(hl7.running)).toHaveLength(2)
})

test('what cannot be stored gets AE, and is tried again when it comes again', async () => {
  await using hl7 = await startWithClient()
  const { running } = hl7
  expect((await hl7.ask(admission('MSG1'))).code).toBe('AA')
  change(running, "CREATE TRIGGER refuse BEFORE INSERT ON messages BEGIN SELECT RAISE(ABORT, 'the disk is full'); END")
  const refused = await hl7.ask(admission('MSG2'))
  expect(refused).toMatchObject({ code: 'AE', id: 'MSG2' })
  expect(refused.text).toContain('the disk is full')
  expect(await hl7.ask(admission('MSG1'))).toMatchObject({ code: 'AA', id: 'MSG1' })
  change(running, 'DROP TRIGGER refuse')
  expect(await hl7.ask(admission('MSG2'))).toMatchObject({ code: 'AA', id: 'MSG2', text: '' })
  expect(stored(running)).toHaveLength(2)
})

test('what is no HL7 gets AR, framed by the codec of node-hl7-client', async () => {
  await using running = await startExample('hl7-mllp')
  const socket = connect(running.port(), '127.0.0.1')
  await once(socket, 'connect')
  await using peer = Peer.over(socket)
  new MLLPCodec().sendMessage(socket, 'PID|1||4444', 'utf8')
  await peer.hear('MSA|AR||')
  await peer.hear('\x1c\r')
  const answer = new MLLPCodec()
  expect(answer.receiveData(peer.received)).toBe(true)
  expect(answer.getLastMessage()).toMatch(/^MSH\|.*\rMSA\|AR\|/)
  expect(running.all('deadLetter.stored')).toHaveLength(1)
})

test('a message of node-hl7-client goes through to node-hl7-server, and its answer comes back', async () => {
  const port = await freePort()
  const heard: string[] = []
  const ehr = new Server({ bindAddress: '127.0.0.1' }).createInbound({ port }, async (request, response) => {
    heard.push(request.getMessage().get('MSH.10').toString())
    await response.sendResponse('AA')
  })
  await once(ehr, 'listen')
  try {
    const match = 'answer.get("MSA-2") == msg.get("MSH-10")'
    const running = await start({
      listen: {
        lab: {
          host: '127.0.0.1',
          port: 0,
          framing: 'mllp',
          format: 'hl7',
          dataflow: [{ request: { to: { endpoint: 'ehr' }, value: 'msg', match } }, { reply: { value: 'msg' } }],
        },
      },
      connect: { ehr: { host: '127.0.0.1', port, framing: 'mllp', format: 'hl7', dataflow: [{ log: '${msg}' }] } },
    })
    await eventually(() => running.server.clients.list('ehr').length === 1)
    await using hl7 = talkTo(running)
    expect(await hl7.ask(admission('MSG1'))).toMatchObject({ code: 'AA', id: 'MSG1' })
    // It takes one message for each connection: with the second it hears the first once more.
    expect(heard).toEqual(['MSG1'])
  } finally {
    await ehr.close()
  }
})
