/** Labels of an agent: `key=value`, said by whoever starts it, never by the host itself. Pure. */
import { z } from 'zod';

const MOST = 64;
const KEY = /^[A-Za-z0-9](?:[A-Za-z0-9._/-]{0,61}[A-Za-z0-9])?$/;
/** Printable, no control characters; a value may be empty. */
const VALUE = /^[^\p{Cc}\p{Cs}]{0,255}$/u;

export const Labels = z.record(z.string(), z.string());
export type Labels = z.infer<typeof Labels>;

export type ReadLabels =
  | { readonly kind: 'labels'; readonly labels: Labels }
  | { readonly kind: 'wrong'; readonly reason: string };

export function readLabels(texts: readonly string[]): ReadLabels {
  if (texts.length > MOST) return wrong(`there are ${texts.length} labels, ${MOST} are the most`);
  const labels = new Map<string, string>();
  for (const text of texts) {
    const at = text.indexOf('=');
    if (at < 1) return wrong(`"${text}" must be key=value`);
    const [key, value] = [text.slice(0, at), text.slice(at + 1)];
    if (!KEY.test(key)) {
      return wrong(`"${key}" is no name of a label: 1 to 63 of A-Z a-z 0-9 . _ / -`);
    }
    if (!VALUE.test(value))
      return wrong(`the value of "${key}" is not up to 255 printable characters`);
    if (labels.has(key)) return wrong(`"${key}" is given twice`);
    labels.set(key, value);
  }
  return { kind: 'labels', labels: Object.fromEntries(labels) };
}

function wrong(reason: string): ReadLabels {
  return { kind: 'wrong', reason };
}
