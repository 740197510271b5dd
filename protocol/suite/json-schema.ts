/** The suite file's form as JSON Schema, for editors: committed as suite.schema.json. */
import { z } from 'zod';
import { EditorForm } from './form.ts';

export function suiteJsonSchema(): Record<string, unknown> {
  const schema = z.toJSONSchema(EditorForm, { target: 'draft-7', io: 'input' });
  return { title: 'benchmesh suite', ...schema };
}
