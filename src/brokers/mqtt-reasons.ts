/**
 * Reason codes of MQTT 5.0 (section 2.4), and the return codes of a CONNACK of MQTT 3.1.1 (section 3.2.2.3), which are
 * the numbers 1 to 5.
 */
interface Reason {
  readonly text: string
  /** The same may work later. */
  readonly temporary?: true
  /** As the reason of a DISCONNECT: a message that we sent is to blame, so that the others have to do without it. */
  readonly aboutMessage?: true
}

const reasons: Readonly<Record<number, Reason>> = {
  1: { text: 'it does not speak this version of MQTT' },
  2: { text: 'it does not take the client ID' },
  3: { text: 'it is not available', temporary: true },
  4: { text: 'wrong username or password' },
  5: { text: 'not authorised' },
  0: { text: 'normal disconnection', temporary: true },
  128: { text: 'it gives no reason', temporary: true },
  129: { text: 'malformed packet', aboutMessage: true },
  130: { text: 'protocol error', aboutMessage: true },
  131: { text: 'a reason of its own', temporary: true },
  132: { text: 'it does not speak this version of MQTT' },
  133: { text: 'it does not take the client ID' },
  134: { text: 'wrong username or password' },
  135: { text: 'not authorised', aboutMessage: true },
  136: { text: 'it is not available', temporary: true },
  137: { text: 'it is busy', temporary: true },
  138: { text: 'this client is banned' },
  139: { text: 'it is shutting down', temporary: true },
  140: { text: 'it does not take this way to authenticate' },
  141: { text: 'it heard nothing from us for too long', temporary: true },
  142: { text: 'another client has connected with the same client ID', temporary: true },
  144: { text: 'it does not take the topic', aboutMessage: true },
  145: { text: 'the packet identifier is in use', temporary: true },
  146: { text: 'it does not know the packet identifier', temporary: true },
  147: { text: 'too many messages at once', temporary: true },
  149: { text: 'the packet is too large', aboutMessage: true },
  150: { text: 'too many messages in a short time', temporary: true },
  151: { text: 'a quota is used up', temporary: true },
  152: { text: 'an administrator has closed the connection', temporary: true },
  153: { text: 'the payload is not in the format that it demands', aboutMessage: true },
  154: { text: 'it retains no messages', aboutMessage: true },
  155: { text: 'it does not take this QoS', aboutMessage: true },
  156: { text: 'another server is to be used for now', temporary: true },
  157: { text: 'the server has moved' },
  159: { text: 'too many connections in a short time', temporary: true },
  160: { text: 'the connection has lasted as long as it may', temporary: true },
}

export function reasonText(code: number): string {
  return reasons[code]?.text ?? `reason code 0x${code.toString(16)}`
}

/** Whether the same may work later. A code that nobody knows may. */
export function isTemporary(code: number): boolean {
  const reason = reasons[code]
  return reason === undefined || reason.temporary === true
}

export function isAboutMessage(code: number): boolean {
  return reasons[code]?.aboutMessage === true
}
