import { Batch } from '../contracts/batch.ts'
import type { Dataflow, Failures } from '../contracts/dataflow.ts'
import { defineStep } from '../contracts/define.ts'
import { toSluiceError } from '../contracts/errors.ts'
import type { Message } from '../contracts/message.ts'
import { condition, dataflow, type Expression, z } from '../contracts/schema.ts'

const routeCase = z
  .strictObject({
    if: condition().optional().describe('The condition: the first case for which it is true takes the message.'),
    dataflow: dataflow().optional().describe('The steps of this case, or the name of an entry of `dataflows:`.'),
    else: dataflow().optional().describe('In the last entry, alone: the steps for messages that no case takes.'),
  })
  .superRefine((entry, context) => {
    const message = caseProblem(entry)
    if (message !== undefined) context.addIssue({ code: 'custom', message })
  })

/** Sends each message through the dataflow of the first case that fits. */
export const route = defineStep({
  name: 'route',
  summary: 'Takes each message through the dataflow of the first case that fits.',
  details:
    'What comes out of the cases goes on to the next step, in the order in which the messages came. A message that no ' +
    'case takes goes on unchanged, unless there is an `else`. Messages of one connection run in the order in which they ' +
    'came, also where they take different cases: neighbours that take the same case run together, and the next case ' +
    'begins when they have finished. So two cases may write to one file.',
  options: z
    .array(routeCase)
    .min(1)
    .superRefine((cases, context) => {
      for (const [i, { else: otherwise }] of cases.entries()) {
        if (otherwise === undefined || i === cases.length - 1) continue
        context.addIssue({ code: 'custom', message: 'else must be the last entry', path: [i, 'else'] })
      }
    })
    .describe('Cases, tried from the top.'),
  examples: [
    {
      title: 'One way for alarms, one for the rest',
      config: {
        route: [
          { if: 'msg.type == "alarm"', dataflow: [{ map: { urgent: 'msg.text' } }] },
          { else: [{ map: 'msg.text' }] },
        ],
      },
      given: [
        { type: 'info', text: 'ok' },
        { type: 'alarm', text: 'fire' },
      ],
      gives: ['ok', { urgent: 'fire' }],
    },
    {
      title: 'What no case takes goes on',
      config: { route: [{ if: 'msg < 0', dataflow: [{ map: '0' }] }] },
      given: [-1, 5],
      gives: [0, 5],
    },
  ],
  afterInner: () => 'next',
  create(options) {
    const conditions: Expression<boolean>[] = []
    const flows: Dataflow[] = []
    for (const { if: condition, dataflow, else: otherwise } of options) {
      if (condition !== undefined) conditions.push(condition)
      flows.push((otherwise ?? dataflow)!)
    }
    return {
      runBatch(batch, failures) {
        const parts: Part[] = []
        for (const message of batch.messages) {
          try {
            const flow = flows[firstMatch(conditions, message)]
            const part = parts.at(-1)
            if (part !== undefined && part.flow === flow) part.messages.push(message)
            else parts.push({ flow, messages: [message] })
          } catch (thrown) {
            failures.add(message, toSluiceError(thrown, 'expression_failed'))
          }
        }
        // When all go one way, the batch goes there as it is, with its frames.
        const [first] = parts
        if (first?.messages.length === batch.length) return first.flow?.run(batch, failures) ?? batch
        return runParts(parts, [], failures)
      },
    }
  },
})

/** Neighbouring messages that go the same way. */
interface Part {
  /** Undefined for those that no case takes. */
  readonly flow: Dataflow | undefined
  readonly messages: Message[]
}

interface Case {
  readonly if?: unknown
  readonly dataflow?: unknown
  readonly else?: unknown
}

function caseProblem({ if: condition, dataflow, else: otherwise }: Case): string | undefined {
  if (otherwise !== undefined) {
    return condition === undefined && dataflow === undefined
      ? undefined
      : 'else stands alone, in an entry of its own at the end'
  }
  if (condition === undefined) return 'if is needed: the condition for this case'
  return dataflow === undefined ? 'dataflow is needed: the steps of this case' : undefined
}

/** Index of the first condition that holds; behind the last one when none does. */
function firstMatch(conditions: readonly Expression<boolean>[], message: Message): number {
  let i = 0
  while (i < conditions.length && !conditions[i]!(message)) i++
  return i
}

/**
 * Runs parts one after the other, at once for as long as none has to wait.
 * @param done what the parts before them gave
 */
function runParts(parts: readonly Part[], done: Batch[], failures: Failures): Batch | Promise<Batch> {
  while (done.length < parts.length) {
    const { flow, messages } = parts[done.length]!
    const batch = Batch.of(messages)
    const result = flow === undefined ? batch : flow.run(batch, failures)
    if (result instanceof Promise) {
      return result.then((ended) => {
        done.push(ended)
        return runParts(parts, done, failures)
      })
    }
    done.push(result)
  }
  return Batch.of(done.flatMap(({ messages }) => messages))
}
