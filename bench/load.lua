-- Sends requests in turn through wrk and prints one line of figures. LOAD_PATH is what to ask for; with LOAD_BODIES,
-- a file of one JSON body a line, the requests are POSTs. LOAD_AUTH is the Authorization header, if one is needed.
function init()
  local headers = {}
  if os.getenv("LOAD_AUTH") then headers["Authorization"] = os.getenv("LOAD_AUTH") end
  requests, next_request = {}, 0
  if not os.getenv("LOAD_BODIES") then
    requests[1] = wrk.format("GET", os.getenv("LOAD_PATH"), headers)
    return
  end
  headers["Content-Type"] = "application/json"
  for body in io.lines(os.getenv("LOAD_BODIES")) do
    requests[#requests + 1] = wrk.format("POST", os.getenv("LOAD_PATH"), headers, body)
  end
end

function request()
  next_request = next_request % #requests + 1
  return requests[next_request]
end

function done(summary, latency)
  local errors = summary.errors
  local failed = errors.status + errors.connect + errors.read + errors.write + errors.timeout
  io.write(string.format("FIGURES %d %.6f %.3f %.3f %.3f %d\n", summary.requests, summary.duration / 1e6,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, latency.max / 1e3, failed))
end
