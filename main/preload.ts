import { contextBridge, ipcRenderer } from 'electron';
import type { Answer } from './ipc/answer.ts';
import { isNotificationChannel, isRequestChannel } from './ipc/channels.ts';
import type { Bridge } from './ipc/contract.ts';

const bridge: Bridge = {
  async request(channel, ...request) {
    if (!isRequestChannel(channel)) throw new TypeError('There is no such request.');
    const answer: Answer = await ipcRenderer.invoke(channel, ...request);
    if ('error' in answer) throw new Error(answer.error);
    return answer.value as never;
  },
  subscribe(channel, listener) {
    if (!isNotificationChannel(channel)) throw new TypeError('There is no such notification.');
    // The event stays here: its `sender` could send on any channel.
    const deliver = (_event: unknown, message: Parameters<typeof listener>[0]) => listener(message);
    ipcRenderer.on(channel, deliver);
    return () => {
      ipcRenderer.off(channel, deliver);
    };
  },
};

contextBridge.exposeInMainWorld('mcpAuthProxy', bridge);
