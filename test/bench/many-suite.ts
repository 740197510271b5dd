/** As many tasks as asked for, of five kinds of need and three priorities; a multiple of 20. They last. */
export function manySuite(tasks: number): string {
  return `
name: many
axes:
  item: [${Array.from({ length: tasks / 20 }, (_, at) => at).join(', ')}]
  memory: [1GiB, 2GiB, 3GiB, 4GiB, 5GiB]
  batch: [1, 2, 3, 4]
priority: { by: { batch: { 1: 2, 2: 1 } } }
needs: { exclusive: false, memory: "{{memory}}" }
run: [sleep, '3600']
`;
}
