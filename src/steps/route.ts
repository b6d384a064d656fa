import { defineStep } from '../contracts/define.ts'
import { toSluiceError } from '../contracts/errors.ts'
import { Batch, type Dataflow, type Message } from '../contracts/message.ts'
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
    'case takes goes on unchanged, unless there is an `else`.',
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
  create(options) {
    const conditions: Expression<boolean>[] = []
    const flows: Dataflow[] = []
    for (const { if: condition, dataflow, else: otherwise } of options) {
      if (condition !== undefined) conditions.push(condition)
      flows.push((otherwise ?? dataflow)!)
    }
    return {
      runBatch(batch, failures) {
        // One list for each flow; the last is for those that pass, and stays empty when there is an else.
        const parts: Message[][] = Array.from({ length: flows.length + 1 }, () => [])
        let failed = false
        for (const message of batch.messages) {
          try {
            parts[firstMatch(conditions, message)]!.push(message)
          } catch (thrown) {
            failed = true
            failures.add(message, toSluiceError(thrown, 'expression_failed'))
          }
        }
        const results: (Batch | Promise<Batch>)[] = []
        for (const [i, part] of parts.entries()) {
          if (part.length === 0) continue
          // When all go one way, the batch goes there as it is, with its frames.
          const one = part.length === batch.length && !failed ? batch : Batch.of(part)
          const flow = flows[i]
          results.push(flow === undefined ? one : flow.run(one, failures))
        }
        return mergeResults(results)
      },
    }
  },
})

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

function mergeResults(results: readonly (Batch | Promise<Batch>)[]): Batch | Promise<Batch> {
  const ready = results.filter((result): result is Batch => !(result instanceof Promise))
  return ready.length === results.length ? Batch.merge(ready) : Promise.all(results).then(Batch.merge)
}
