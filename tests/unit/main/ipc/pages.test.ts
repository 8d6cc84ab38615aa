import { describe, expect, it } from 'vitest';
import type { LoginBarView } from '../../../../main/ipc/contract.ts';
import { type PageContents, Pages } from '../../../../main/ipc/pages.ts';
import type { CallView } from '../../../../main/view.ts';

const CALL: CallView = {
  number: 1,
  serverId: 'one',
  at: 0,
  method: 'POST',
  rpc: 'tools/list',
  status: 200,
  refusal: undefined,
  durationMs: 3,
};
const BAR: LoginBarView = { server: 'Craft', origin: '', secure: false, loading: true, trouble: undefined };

describe('pages', () => {
  it('hear what is for them and nothing else', () => {
    const { pages, open } = givenPages();
    const [status, login] = [open('status'), open('login')];
    pages.notify('status', 'calls:new', CALL);
    expect(status.heard).toEqual([['calls:new', CALL]]);
    expect(login.heard).toEqual([]);
  });

  it('hear it wherever they are open', () => {
    const { pages, open } = givenPages();
    const bars = [open('login'), open('login')];
    pages.notify('login', 'login:changed', BAR);
    expect(bars.map(({ heard }) => heard.length)).toEqual([1, 1]);
  });

  it('can be told one by one', () => {
    const { pages, open } = givenPages();
    const [first, second] = [open('login'), open('login')];
    pages.tell('login', second.contents, 'login:changed', BAR);
    expect([first.heard.length, second.heard.length]).toEqual([0, 1]);
  });

  it('hear nothing once they are gone', () => {
    const { pages, open } = givenPages();
    const [gone, going] = [open('status'), open('status')];
    gone.destroy();
    going.beginToGo();
    pages.notify('status', 'calls:new', CALL);
    expect([...gone.heard, ...going.heard]).toEqual([]);
    expect(pages.pageOf(gone.contents)).toBeUndefined();
  });

  it('are told apart from the contents of others', () => {
    const { pages, open, stranger } = givenPages();
    const login = open('login');
    expect(pages.pageOf(login.contents)).toBe('login');
    const other = stranger();
    expect(pages.pageOf(other.contents)).toBeUndefined();
    pages.tell('login', other.contents, 'login:changed', BAR);
    pages.tell('status', login.contents, 'calls:new', CALL);
    expect([...other.heard, ...login.heard]).toEqual([]);
  });
});

function givenPages() {
  const pages = new Pages();
  let made = 0;
  function stranger() {
    const heard: [string, unknown][] = [];
    let isDestroyed = false;
    let onDestroyed = () => {};
    const contents: PageContents = {
      id: ++made,
      isDestroyed: () => isDestroyed,
      send: (channel, message) => heard.push([channel, message]),
      once(_event, listener) {
        onDestroyed = listener;
      },
    };
    return {
      contents,
      heard,
      beginToGo: () => {
        isDestroyed = true;
      },
      destroy() {
        isDestroyed = true;
        onDestroyed();
      },
    };
  }
  return {
    pages,
    stranger,
    open(page: 'status' | 'login') {
      const made = stranger();
      pages.add(page, made.contents);
      return made;
    },
  };
}
