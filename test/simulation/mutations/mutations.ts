/**
 * Bugs planted at the seams of the simulation: simulation must find each within the seeds that CI runs.
 * Each changes what goes in or out of the real code, or a method of it; what `plant` answers takes a
 * change of a method back.
 */
import { OF_BATCHES } from './batches.ts';
import { OF_GANGS } from './gangs.ts';
import { OF_THE_GROUND } from './ground.ts';
import { OF_LOST_HOSTS } from './lost-hosts.ts';
import type { Mutation } from './planting.ts';
import { OF_TURNS } from './turns.ts';

export const MUTATIONS: readonly Mutation[] = [
  ...OF_THE_GROUND,
  ...OF_TURNS,
  ...OF_LOST_HOSTS,
  ...OF_GANGS,
  ...OF_BATCHES,
];
