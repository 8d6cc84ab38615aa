import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** An HTTP client that makes one call after the other on one connection and costs next to nothing itself. */
export class RawClient {
  readonly #socket: Socket;
  readonly #head: string;

  /** Connects. */
  static async open(origin: string): Promise<RawClient> {
    const { hostname, port, host } = new URL(origin);
    const socket = connect(Number(port), hostname).setNoDelay().setEncoding('latin1');
    await once(socket, 'connect');
    return new RawClient(socket, host);
  }

  private constructor(socket: Socket, host: string) {
    this.#socket = socket;
    this.#head = `POST /mcp HTTP/1.1\r\nHost: ${host}\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\n`;
  }

  /**
   * @returns the whole answer with its head, once it is there; its length must be told
   * @throws Error for any status but 200
   */
  async call(body: string): Promise<string> {
    const complete = answerOn(this.#socket);
    this.#socket.write(`${this.#head}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
    const answer = await complete;
    if (!answer.startsWith('HTTP/1.1 200 '))
      throw new Error(`a call was answered with ${answer.slice(9, 12)}`);
    return answer;
  }

  close(): void {
    this.#socket.destroy();
  }
}

function answerOn(socket: Socket): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    const onClose = () => reject(new Error('a connection was closed during a call'));
    const onData = (more: string) => {
      text += more;
      const [head = '', length] = /^[\s\S]*?\r\ncontent-length: (\d+)\r\n[\s\S]*?\r\n\r\n/i.exec(text) ?? [];
      if (length === undefined || text.length < head.length + Number(length)) return;
      socket.off('data', onData).off('close', onClose);
      resolve(text);
    };
    socket.on('data', onData).once('close', onClose);
  });
}
