import { connect } from 'node:net'
import { SluiceError } from '../contracts/errors.ts'
import type { CommandName, Commands, ControlAnswer, ControlRequest } from './control-protocol.ts'

/**
 * Asks the server that has a control socket.
 * @param path of the socket
 * @throws SluiceError what the server answers when it cannot do it; `connection_refused` when no server answers there
 */
export async function askControl<Name extends CommandName>(
  path: string,
  request: ControlRequest<Name>,
): Promise<Commands[Name]['result']> {
  const line = await exchange(path, `${JSON.stringify(request)}\n`)
  const answer = JSON.parse(line) as ControlAnswer<Name>
  if (answer.ok) return answer.result
  throw new SluiceError('internal', answer.message, answer.hint === undefined ? {} : { hint: answer.hint })
}

function exchange(path: string, line: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(path)
    let text = ''
    socket.setEncoding('utf8')
    socket.on('connect', () => socket.write(line))
    socket.on('data', (chunk: string) => {
      text += chunk
    })
    socket.on('error', (error) => reject(unreachable(path, error)))
    socket.on('close', () => {
      if (text.endsWith('\n')) resolve(text)
      else reject(new SluiceError('connection_reset', 'the server ended before it had answered', { hint: LOOK }))
    })
  })
}

const LOOK = 'Its log says more.'

function unreachable(path: string, error: NodeJS.ErrnoException): SluiceError {
  if (error.code === 'EACCES') {
    return new SluiceError('permission_denied', `this user may not open ${path}`, {
      cause: error,
      hint: 'Ask as the user that the server runs as.',
    })
  }
  return new SluiceError('connection_refused', `no server answers at ${path}`, {
    cause: error,
    hint: 'Start it with sluice run; if it runs with another data.dir, name that folder with --data.',
  })
}
