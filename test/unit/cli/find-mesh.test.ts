import { describe, expect, it } from 'vitest';
import { targetOf } from '#cli/mesh/find-mesh.ts';
import { homeDir, namedResultsDir } from '#cli/mesh/home.ts';

describe('which mesh', () => {
  const env = {
    BENCHMESH_SERVER: 'nats://env:4222',
    BENCHMESH_CREDENTIAL: '/env.nk',
    BENCHMESH_HOME: '/home/bm',
  };

  it('the flag wins over the environment, which wins over the local mesh', () => {
    expect(targetOf({ server: 'nats://flag:1', credential: '/flag.nk' }, env)).toEqual({
      kind: 'server',
      url: 'nats://flag:1',
      credentialFile: '/flag.nk',
    });
    expect(targetOf({}, env)).toEqual({
      kind: 'server',
      url: 'nats://env:4222',
      credentialFile: '/env.nk',
    });
    expect(targetOf({}, { BENCHMESH_HOME: '/home/bm' })).toEqual({
      kind: 'local',
      home: '/home/bm',
    });
    expect(targetOf({ server: 'mesh:4222' }, {})).toMatchObject({ credentialFile: null });
  });

  it.each([
    'http://x',
    'nats://user:secret@host:4222',
    'a b',
    'nats://h/x',
    '127.0.0.1:99999',
    'nats://h:0',
  ])('%s is refused', (server) => {
    expect(() => targetOf({ server }, {})).toThrow(expect.objectContaining({ code: 'usage' }));
  });

  it('a credential without a server is refused', () => {
    expect(() => targetOf({ credential: 'x' }, {})).toThrow(
      expect.objectContaining({ code: 'usage' }),
    );
  });
});

describe('where', () => {
  it.each([
    [{ BENCHMESH_HOME: '/a' }, '/a'],
    [{ XDG_STATE_HOME: '/state', HOME: '/u' }, '/state/benchmesh'],
    [{ HOME: '/u' }, '/u/.local/state/benchmesh'],
    [{ BENCHMESH_HOME: '', HOME: '/u' }, '/u/.local/state/benchmesh'],
  ])('home of %j', (env, home) => {
    expect(homeDir(env)).toBe(home);
  });

  it('results: the flag, then the environment', () => {
    expect(namedResultsDir('/f', { BENCHMESH_RESULTS: '/e' })).toBe('/f');
    expect(namedResultsDir(undefined, { BENCHMESH_RESULTS: '/e' })).toBe('/e');
    expect(namedResultsDir(undefined, {})).toBeNull();
  });
});
