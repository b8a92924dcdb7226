'use strict';
/**
 * One connection to the hub, kept up for as long as it is wanted: connect, handshake, requests matched by reqId, the end
 * when the hub hangs, a new try after a jittered back-off. Emits `up` (what the hub said of itself), `down` (the
 * error), `event` (an event of a queue). Requests fail with HQ_OFFLINE when the link breaks; who may repeat them does.
 */

const { randomInt } = require('node:crypto');
const { EventEmitter } = require('node:events');
const net = require('node:net');
const tls = require('node:tls');
const { Backoff } = require('./backoff');
const { HubqueueError, fromReply } = require('./errors');
const { encodeFrame, FrameReader } = require('./frames');
const { Liveness } = require('./liveness');
const { Sender } = require('./sender');
const { api: API } = require('../resources/options');

const DEFAULT_PORT = 6789;
const PING_AFTER_MS = 14_000; // of silence
const SILENT_MS = 10_000; // without a byte after a ping: with the ticks of both a hub that hangs is noticed within 25 s
const CANCEL_MS = 2000; // a node that closes does not wait longer
const REFUSED_WAIT_MS = 30_000; // after a wrong token: a person has to do something, and the hub counts the tries

let nextId = randomInt(2 ** 47); // over all links and runs: unsent frames may move from one to the next

class Link extends EventEmitter {
  /** settings: see adjust. Units: pingMs of silence before the hub is asked for an answer, silentMs for that answer. */
  constructor({ pingMs = PING_AFTER_MS, silentMs = SILENT_MS, ...settings }) {
    super();
    Object.assign(this, { pingMs, silentMs });
    this.backoff = new Backoff();
    this.adjust(settings);
    this.tried = new Promise((resolve) => this.once('up', resolve).once('down', resolve));
    this.state = 'down';
    this.trouble = null; // why it is down
    this.turn = 0;
    this.pending = new Map();
    this.wanted = false;
    this.socket = null;
    this.timer = null;
  }

  /**
   * The settings, from the next connection on. hosts: an async function that gives the host names to try in turn.
   * tlsOptions: null for plain TCP. Units: connectMs is for the connection and each answer of the handshake.
   */
  adjust({ hosts, port = DEFAULT_PORT, tlsOptions = null, token = '', connectMs = 10_000, shortestWaitMs = 500, longestWaitMs = 10_000 }) {
    Object.assign(this, { hosts, port, tlsOptions, token, connectMs });
    this.backoff.between(shortestWaitMs, longestWaitMs);
  }

  get up() {
    return this.state === 'up';
  }

  /** Keep a connection from now on. */
  start() {
    if (!this.wanted) {
      this.wanted = true;
      this.connect();
    }
  }

  /** There is reason to believe that it works now: try again at once. */
  hurry() {
    if (this.wanted && this.state === 'down') {
      clearTimeout(this.timer);
      this.backoff.reset();
      this.connect();
    }
  }

  /** Resolves when the first connection is made, or is not: flows that have just started may ask at once. */
  firstTry() {
    return this.wanted ? this.tried : Promise.resolve();
  }

  /** End the connection and make no new one. What is unanswered fails with HQ_OFFLINE. */
  stop() {
    this.wanted = false;
    clearTimeout(this.timer);
    this.lose(new HubqueueError('HQ_OFFLINE', 'the connection was closed'), this.socket);
  }

  /** The frame of a request that may be sent more than once, and the key of its answer. Errors: see encodeFrame. */
  frame(cmd, fields) {
    const reqId = nextId++;
    return { cmd, reqId, bytes: encodeFrame({ cmd, reqId, ...fields }) };
  }

  /** Send a command; its reply. Errors: HQ_OFFLINE, HQ_SILENT after timeoutMs, and what the hub answers. */
  request(cmd, fields = {}, options = {}) {
    return this.up ? this.send(this.frame(cmd, fields), options) : Promise.reject(this.offline());
  }

  send(frame, { timeoutMs = 0 } = {}) {
    if (!this.up && this.state !== 'greeting') {
      return Promise.reject(this.offline());
    }
    return new Promise((resolve, reject) => {
      const waiting = { resolve, reject, timer: null };
      if (timeoutMs > 0) {
        const give = () => {
          if (this.pending.delete(frame.reqId)) {
            reject(new HubqueueError('HQ_SILENT', `the hub did not answer ${frame.cmd} within ${timeoutMs / 1000} s`));
          }
        };
        waiting.timer = setTimeout(() => setImmediate(give), timeoutMs); // a blocked loop first reads what has come meanwhile
      }
      this.pending.set(frame.reqId, waiting);
      this.sender.write(frame.bytes);
    });
  }

  /** Nobody waits for a long-poll any more: it is answered with nothing. A job that was quicker still arrives. */
  cancel(frame) {
    const nothing = { ok: true, reqId: frame.reqId, jobs: [], tokens: [] };
    return this.request('CancelPoll', { poll: frame.reqId }, { timeoutMs: CANCEL_MS }).then(
      (reply) => reply.cancelled && this.take(nothing),
      () => {}, // the link broke, and the poll with it, or is about to
    );
  }

  offline() {
    const why = this.trouble ? `: ${this.trouble.message}` : '';
    return new HubqueueError('HQ_OFFLINE', `the hub is not connected${why}`, { cause: this.trouble || undefined });
  }

  async connect() {
    this.state = 'connecting';
    this.emit('connecting');
    let socket = null;
    try {
      const hosts = await this.hosts();
      if (!this.wanted) {
        return;
      }
      this.host = hosts[this.turn++ % hosts.length];
      socket = this.open(this.host);
      await this.greet(socket);
    } catch (error) {
      this.lose(error, socket);
    }
  }

  open(host) {
    const reader = new FrameReader();
    const options = { host, port: this.port };
    const secure = this.tlsOptions !== null;
    const socket = secure ? tls.connect({ servername: net.isIP(host) ? '' : host, ...options, ...this.tlsOptions }) : net.connect(options);
    this.socket = socket;
    this.sender = new Sender(socket);
    this.liveness = this.watch(socket);
    this.ready = new Promise((resolve, reject) => {
      socket.once(secure ? 'secureConnect' : 'connect', resolve);
      socket.once('close', () => reject(new HubqueueError('HQ_OFFLINE', 'the hub closed the connection')));
    });
    this.ready.catch(() => {}); // heard by greet, if it still listens
    socket.setNoDelay(true);
    socket.setKeepAlive(true, 30_000);
    socket.on('error', (error) => this.lose(error, socket));
    socket.on('close', () => this.lose(new HubqueueError('HQ_OFFLINE', 'the hub closed the connection'), socket));
    socket.on('data', (chunk) => this.receive(reader, chunk, socket));
    return socket;
  }

  async greet(socket) {
    await this.ready;
    this.liveness.heard();
    this.state = 'greeting';
    const limit = { timeoutMs: this.connectMs };
    if (this.token) {
      await this.send(this.frame('Auth', { token: this.token }), limit);
    }
    const hello = await this.send(this.frame('Hello', { protocolVersion: 3, api: API }), limit);
    if (this.socket !== socket) {
      return;
    }
    checkHub(hello);
    this.state = 'up';
    this.trouble = null;
    this.since = Date.now();
    this.liveness.opened();
    this.emit('up', hello);
  }

  watch(socket) {
    const { connectMs, pingMs, silentMs, sender } = this;
    const ping = () => this.request('Ping').catch(() => {}); // whoever ends the link says why
    const gone = (ms) => this.lose(new HubqueueError('HQ_SILENT', `${this.host}:${this.port} did not answer within ${ms / 1000} s`), socket);
    return new Liveness({ connectMs, pingMs, silentMs, sender, ping, gone });
  }

  receive(reader, chunk, socket) {
    this.liveness.heard();
    try {
      for (const message of reader.feed(chunk)) {
        this.take(message);
      }
    } catch (error) {
      this.lose(error, socket);
    }
  }

  take(message) {
    if (message.type === 'event' && message.reqId === undefined) {
      this.emit('event', message.event);
      return;
    }
    const waiting = this.pending.get(message.reqId);
    if (waiting === undefined) {
      if (message.ok === false && message.reqId === undefined) {
        throw fromReply(message); // the last word of a hub that ends the connection
      }
      return; // nobody waits for it any more
    }
    this.pending.delete(message.reqId);
    clearTimeout(waiting.timer);
    if (message.ok) {
      waiting.resolve(message);
    } else {
      waiting.reject(fromReply(message));
    }
  }

  lose(error, socket) {
    if (socket !== this.socket || (socket === null && this.state === 'down')) {
      return;
    }
    this.socket = null;
    if (socket !== null) {
      this.liveness.stop();
      socket.removeAllListeners('data');
      socket.destroy();
    }
    if (this.state === 'up') {
      this.backoff.lasted(Date.now() - this.since);
    }
    this.state = 'down';
    this.trouble = error;
    const broken = new HubqueueError('HQ_OFFLINE', 'the connection broke', { cause: error });
    const pending = [...this.pending.values()];
    this.pending.clear();
    for (const waiting of pending) {
      clearTimeout(waiting.timer);
      waiting.reject(broken);
    }
    if (this.wanted) {
      const wait = this.backoff.next();
      this.timer = setTimeout(() => this.connect(), error.code === 'HQ_NOT_AUTHENTICATED' ? Math.max(wait, REFUSED_WAIT_MS) : wait);
    }
    this.emit('down', error);
  }
}

/** Errors: HQ_PROTOCOL for what is no hub of ours; HQ_UPDATE_HUB, HQ_UPDATE_NODES for one that speaks another API. */
function checkHub({ server, version, api = 0 }) {
  if (server !== 'hubqueue') {
    throw new HubqueueError('HQ_PROTOCOL', `this is no hubqueue: ${server ?? 'it does not say what it is'}`);
  }
  if (api !== API) {
    const [code, older] = api < API ? ['HQ_UPDATE_HUB', 'the hub'] : ['HQ_UPDATE_NODES', 'the nodes in Node-RED'];
    const hint = `update ${older}; nothing is lost, and it goes on by itself then`;
    throw new HubqueueError(code, `the hub, version ${version}, speaks API ${api}, these nodes ${API}`, { hint });
  }
}

module.exports = { Link, DEFAULT_PORT };
