// The npm package `binance`, unmodified, against the embedded venue: REST, streams and WebSocket API, USD-M and spot.
//
// Pointed at loopback by its own options `baseUrl` and `wsUrl`; node trusts the venue's certificate by NODE_EXTRA_CA_CERTS.

import { readFileSync } from 'node:fs';
import { MainClient, USDMClient, WebsocketAPIClient, WebsocketClient } from 'binance';
import { arrives, done, gives, refuses } from './report.mjs';

const usdmUrl = process.env.VENUE_USDM;
const spotUrl = process.env.VENUE_SPOT;
const keys = JSON.parse(readFileSync(process.env.VENUE_KEYS, 'utf8'));
const hmac = { api_key: keys.hmac.api_key, api_secret: keys.hmac.secret };
const ed25519 = { api_key: keys.ed25519.api_key, api_secret: keys.ed25519.private_key };
const symbol = 'BTCUSDT';
const quiet = { trace() {}, info() {}, error() {} };

// The package writes a client order id into what it is given, so every order is given a copy.
const around = (touch, fraction) => Math.floor(Number(touch) * fraction);
const wss = (url) => url.replace('https', 'wss');

/** What both clients do alike for a bad signature and a wrong clock. */
async function keysAndClocks(Client, baseUrl, account) {
  const signed = new Client({ ...ed25519, baseUrl });
  await gives('a request signed with Ed25519', () => account(signed));
  const wrong = new Client({ ...hmac, api_secret: 'not the secret', baseUrl });
  await refuses('a bad signature', () => account(wrong), -1022);
  const unknown = new Client({ ...hmac, api_key: 'x'.repeat(64), baseUrl });
  await refuses('an unknown key', () => account(unknown), -2015);
  // The client's own name for how far its clock is from the exchange's.
  const behind = new Client({ ...hmac, baseUrl, disableTimeSync: true });
  behind.setTimeOffset(-60_000);
  await refuses('an expired timestamp', () => account(behind), -1021);
}

async function usdm() {
  console.log('npm binance, USD-M');
  const client = new USDMClient({ ...hmac, baseUrl: usdmUrl });
  await gives('exchange information', () => client.getExchangeInfo(), (info) => info.symbols[0].symbol === symbol);
  const book = await gives('depth', () => client.getOrderBook({ symbol, limit: 5 }), (book) => book.bids.length === 5);
  const bid = book.bids[0][0];
  await gives('candles', () => client.getKlines({ symbol, interval: '1m', limit: 3 }), (rows) => rows.length > 0);
  await gives('24 h ticker', () => client.get24hrChangeStatistics({ symbol }));
  await gives('mark price', () => client.getMarkPrice({ symbol }), (mark) => Number(mark.markPrice) > 0);
  await gives('funding rates', () => client.getFundingRateHistory({ symbol }));
  const limit = { symbol, side: 'BUY', type: 'LIMIT', timeInForce: 'GTC', quantity: 0.01, price: around(bid, 0.97) };
  const placed = await gives('place', () => client.submitNewOrder({ ...limit }), (order) => order.status === 'NEW');
  const { orderId } = placed;
  await gives('query', () => client.getOrder({ symbol, orderId }), (order) => order.orderId === orderId);
  await gives('open orders', () => client.getAllOpenOrders({ symbol }), (orders) => orders.length === 1);
  await gives(
    'modify',
    () => client.modifyOrder({ symbol, side: 'BUY', orderId, quantity: 0.02, price: around(bid, 0.96) }),
    (order) => Number(order.origQty) === 0.02,
  );
  await gives('cancel', () => client.cancelOrder({ symbol, orderId }), (order) => order.status === 'CANCELED');
  await gives(
    'batch',
    () => client.submitMultipleOrders([{ ...limit, quantity: '0.01', price: String(limit.price) }]),
    (orders) => orders[0].status === 'NEW',
  );
  await gives('cancel all', () => client.cancelAllOpenOrders({ symbol }));
  await gives(
    'market order',
    () => client.submitNewOrder({ symbol, side: 'BUY', type: 'MARKET', quantity: 0.01, newOrderRespType: 'RESULT' }),
    (order) => order.status === 'FILLED',
  );
  await gives('account', () => client.getAccountInformationV3(), (account) => account.positions.length === 1);
  await gives('balance', () => client.getBalanceV3(), (balances) => balances[0].asset === 'USDT');
  await gives('positions', () => client.getPositionsV3({ symbol }), (rows) => Number(rows[0].positionAmt) === 0.01);
  await gives('own trades', () => client.getAccountTrades({ symbol }), (trades) => trades.length > 0);
  await gives('income', () => client.getIncomeHistory({ symbol }), (rows) => rows.length > 0);
  await gives('leverage', () => client.setLeverage({ symbol, leverage: 7 }), (answer) => answer.leverage === 7);
  await gives('position mode', () => client.getCurrentPositionMode(), (mode) => mode.dualSidePosition === false);
  const stop = { algoType: 'CONDITIONAL', symbol, side: 'SELL', type: 'STOP_MARKET', quantity: 0.01 };
  const below = { ...stop, triggerPrice: String(around(bid, 0.9)) };
  const algo = await gives('conditional order', () => client.submitNewAlgoOrder({ ...below }), (algo) => algo.algoStatus === 'NEW');
  await gives('query it', () => client.getAlgoOrder({ algoId: algo.algoId }), (found) => found.algoStatus === 'NEW');
  await gives('open conditional orders', () => client.getOpenAlgoOrders(), (algos) => algos.length === 1);
  await gives('cancel it', () => client.cancelAlgoOrder({ algoId: algo.algoId }));
  await client.submitNewOrder({ symbol, side: 'SELL', type: 'MARKET', quantity: 0.01, reduceOnly: 'true' });

  const order = (changed) => () => client.submitNewOrder({ ...limit, ...changed });
  await refuses('PRICE_FILTER, tick', order({ price: `${around(bid, 0.97)}.05` }), -4014);
  await refuses('PRICE_FILTER, minimum', order({ price: 1 }), -4013);
  await refuses('PRICE_FILTER, maximum', order({ price: 5_000_000 }), -4002);
  await refuses('LOT_SIZE', order({ quantity: 1001 }), -4005);
  const market = { symbol, side: 'BUY', type: 'MARKET', quantity: 121 };
  await refuses('MARKET_LOT_SIZE', () => client.submitNewOrder(market), -4005);
  await refuses('MIN_NOTIONAL', order({ quantity: 0.001 }), -4164);
  await refuses('PERCENT_PRICE', order({ price: around(bid, 1.2) }), -4016);
  for (let count = 0; count < 200; count += 1) await order({ quantity: 0.002 })();
  await refuses('MAX_NUM_ORDERS', order({ quantity: 0.002 }), -2025);
  await client.cancelAllOpenOrders({ symbol });
  for (let count = 0; count < 10; count += 1) await client.submitNewAlgoOrder({ ...below });
  await refuses('MAX_NUM_ALGO_ORDERS', () => client.submitNewAlgoOrder({ ...below }), -4045);
  await client.cancelAllAlgoOpenOrders({ symbol });
  await keysAndClocks(USDMClient, usdmUrl, (client) => client.getAccountInformationV3());
}

async function spot() {
  console.log('npm binance, spot');
  const client = new MainClient({ ...hmac, baseUrl: spotUrl });
  await gives('exchange information', () => client.getExchangeInfo(), (info) => info.symbols[0].symbol === symbol);
  const book = await gives('depth', () => client.getOrderBook({ symbol, limit: 5 }), (book) => book.bids.length === 5);
  const bid = book.bids[0][0];
  await gives('average price', () => client.getAvgPrice({ symbol }), (price) => price.mins === 5);
  await gives('candles', () => client.getKlines({ symbol, interval: '1m', limit: 3 }), (rows) => rows.length > 0);
  const limit = { symbol, side: 'BUY', type: 'LIMIT', timeInForce: 'GTC', quantity: 0.01, price: around(bid, 0.97) };
  await gives('test order', () => client.testNewOrder({ ...limit }));
  const placed = await gives('place', () => client.submitNewOrder({ ...limit }), (order) => order.status === 'NEW');
  const { orderId } = placed;
  await gives('query', () => client.getOrder({ symbol, orderId }), (order) => order.isWorking);
  await gives('open orders', () => client.getOpenOrders({ symbol }), (orders) => orders.length === 1);
  const replaced = await gives(
    'cancel and replace',
    () => client.replaceOrder({ ...limit, cancelReplaceMode: 'STOP_ON_FAILURE', cancelOrderId: orderId }),
    (answer) => answer.newOrderResult === 'SUCCESS',
  );
  await gives(
    'cancel',
    () => client.cancelOrder({ symbol, orderId: replaced.newOrderResponse.orderId }),
    (order) => order.status === 'CANCELED',
  );
  await gives(
    'market order',
    () => client.submitNewOrder({ symbol, side: 'BUY', type: 'MARKET', quoteOrderQty: 500 }),
    (order) => order.status === 'FILLED' && order.fills.length > 0,
  );
  await gives('account', () => client.getAccountInformation(), (account) => account.balances.length >= 2);
  await gives('own trades', () => client.getAccountTradeList({ symbol }), (trades) => trades.length > 0);

  const order = (changed) => () => client.submitNewOrder({ ...limit, ...changed });
  await refuses('PRICE_FILTER', order({ price: `${around(bid, 0.97)}.005` }), 'PRICE_FILTER');
  await refuses('PERCENT_PRICE_BY_SIDE', order({ price: around(bid, 0.1) }), 'PERCENT_PRICE_BY_SIDE');
  await refuses('LOT_SIZE', order({ quantity: 9001 }), 'LOT_SIZE');
  const market = { symbol, side: 'BUY', type: 'MARKET', quantity: 101 };
  await refuses('MARKET_LOT_SIZE', () => client.submitNewOrder(market), 'MARKET_LOT_SIZE');
  await refuses('NOTIONAL', order({ quantity: '0.00002' }), 'NOTIONAL');
  for (let count = 0; count < 3; count += 1) await order({ quantity: 140, price: around(bid, 0.3) })();
  await refuses('MAX_POSITION', order({ quantity: 140, price: around(bid, 0.3) }), 'MAX_POSITION');
  await client.cancelAllSymbolOrders({ symbol });
  const stop = { symbol, side: 'SELL', type: 'STOP_LOSS', quantity: 0.01, stopPrice: around(bid, 0.9) };
  for (let count = 0; count < 5; count += 1) await client.submitNewOrder({ ...stop });
  await refuses('MAX_NUM_ALGO_ORDERS', () => client.submitNewOrder({ ...stop }), 'MAX_NUM_ALGO_ORDERS');
  await client.cancelAllSymbolOrders({ symbol });
  for (let count = 0; count < 200; count += 1) await order({ quantity: 0.001 })();
  await refuses('MAX_NUM_ORDERS', order({ quantity: 0.001 }), 'MAX_NUM_ORDERS');
  await client.cancelAllSymbolOrders({ symbol });
  await keysAndClocks(MainClient, spotUrl, (client) => client.getAccountInformation());
}

/** A socket of the package whose messages are kept. */
function listen(wsUrl, restUrl) {
  const heard = [];
  const socket = new WebsocketClient({ ...hmac, wsUrl, restOptions: { baseUrl: restUrl } }, quiet);
  socket.on('message', (message) => heard.push(message.data ?? message));
  socket.on('exception', (error) => heard.push({ exception: error?.message ?? error }));
  return { socket, heard };
}

async function streams() {
  console.log('npm binance, streams');
  const usdmStreams = listen(wss(usdmUrl), usdmUrl);
  usdmStreams.socket.subscribe(['btcusdt@depth@100ms', 'btcusdt@aggTrade', '!miniTicker@arr'], 'usdm');
  await arrives('USD-M depth', () => usdmStreams.heard.find((event) => event.e === 'depthUpdate'));
  await arrives('USD-M mini tickers', () => usdmStreams.heard.find((event) => event[0]?.e === '24hrMiniTicker'));
  const spotStreams = listen(wss(spotUrl), spotUrl);
  spotStreams.socket.subscribe(['btcusdt@depth@100ms', 'btcusdt@kline_1m'], 'main');
  await arrives('spot depth', () => spotStreams.heard.find((event) => event.e === 'depthUpdate'));
  await arrives('spot candles', () => spotStreams.heard.find((event) => event.e === 'kline'));
  usdmStreams.socket.closeAll(true);
  spotStreams.socket.closeAll(true);

  console.log('npm binance, private events');
  const usdmClient = new USDMClient({ ...hmac, baseUrl: usdmUrl });
  const usdmPrivate = listen(wss(usdmUrl), usdmUrl);
  await gives('subscribe to private events on USD-M', () => usdmPrivate.socket.subscribeUsdFuturesUserDataStream());
  await new Promise((resolve) => setTimeout(resolve, 1000));
  const { bids } = await usdmClient.getOrderBook({ symbol, limit: 5 });
  const limit = { symbol, side: 'BUY', type: 'LIMIT', timeInForce: 'GTC', quantity: 0.01, price: around(bids[0][0], 0.97) };
  const { orderId } = await usdmClient.submitNewOrder({ ...limit });
  const about = (status) => (event) => event.e === 'ORDER_TRADE_UPDATE' && event.o.i === orderId && event.o.X === status;
  await arrives("an order's event", () => usdmPrivate.heard.find(about('NEW')));
  await usdmClient.cancelOrder({ symbol, orderId });
  await arrives('its cancellation', () => usdmPrivate.heard.find(about('CANCELED')));
  usdmPrivate.socket.closeAll(true);
}

async function overWebSocket() {
  console.log('npm binance, WebSocket API');
  const options = (wsUrl) => ({ ...ed25519, wsUrl, attachEventListeners: false });
  const usdmApi = new WebsocketAPIClient(options(wss(usdmUrl)), quiet);
  const usdmClient = new USDMClient({ ...hmac, baseUrl: usdmUrl });
  const { bids } = await usdmClient.getOrderBook({ symbol, limit: 5 });
  const limit = { symbol, side: 'BUY', type: 'LIMIT', timeInForce: 'GTC', quantity: 0.01, price: around(bids[0][0], 0.97) };
  const placed = await gives(
    'place on USD-M',
    () => usdmApi.submitNewFuturesOrder('usdm', { ...limit, timestamp: Date.now() }),
    (answer) => answer.result.status === 'NEW',
  );
  const { orderId } = placed.result;
  await gives('cancel on USD-M', () => usdmApi.cancelFuturesOrder('usdm', { symbol, orderId, timestamp: Date.now() }));

  const spotApi = new WebsocketAPIClient(options(wss(spotUrl)), quiet);
  const heard = [];
  spotApi.getWSClient().on('message', (message) => heard.push(message.event ?? message.data ?? message));
  await gives('subscribe to private events on spot', () => spotApi.subscribeUserDataStream('mainWSAPI'));
  const spotPlaced = await gives(
    'place on spot',
    () => spotApi.submitNewSpotOrder({ ...limit, timestamp: Date.now() }),
    (answer) => answer.result.status === 'NEW',
  );
  const spotId = spotPlaced.result.orderId;
  await arrives("an order's event", () => heard.find((event) => event.e === 'executionReport' && event.i === spotId));
  await arrives('the funds that it locks', () => heard.find((event) => event.e === 'outboundAccountPosition'));
  // Over REST this version of the package sends an amendment to USD-M's address.
  await gives(
    'amend on spot',
    () => spotApi.amendSpotOrderKeepPriority({ symbol, orderId: spotId, newQty: 0.005, timestamp: Date.now() }),
    (answer) => Number(answer.result.amendedOrder.qty) === 0.005,
  );
  const less = (lots) => () =>
    spotApi.amendSpotOrderKeepPriority({ symbol, orderId: spotId, newQty: lots / 100_000, timestamp: Date.now() });
  for (let lots = 499; lots > 490; lots -= 1) await less(lots)();
  await refuses('MAX_NUM_ORDER_AMENDS', less(490), 'MAX_NUM_ORDER_AMENDS');
  await gives('query on spot', () => spotApi.getSpotOrderStatus({ symbol, orderId: spotId, timestamp: Date.now() }));
  await gives('cancel on spot', () => spotApi.cancelSpotOrder({ symbol, orderId: spotId, timestamp: Date.now() }));
  await refuses(
    'a filter over the WebSocket API',
    () => spotApi.submitNewSpotOrder({ ...limit, quantity: '0.00002', timestamp: Date.now() }),
    'NOTIONAL',
  );
}

await usdm();
await spot();
await streams();
await overWebSocket();
done('npm');
