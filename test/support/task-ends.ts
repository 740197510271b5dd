/** Tasks that stored events say have ended, each as often as it was said. */
import type { Message } from '#protocol/messages/envelope.ts';

export function taskEnds(
  records: readonly { readonly subject: string; readonly message: Message }[],
): string[] {
  return records.flatMap(({ subject, message }) => {
    if (message.name === 'task.ended') return [subject.split('.').at(-1) ?? ''];
    return message.name === 'run.tasks_ended' ? message.data.tasks : [];
  });
}
