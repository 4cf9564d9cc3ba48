/** Colours and letters of shapes, by their styles: for light pages and dark ones. */

export const STYLE = `
.ground { fill: #ffffff; }
text { font: 13px system-ui, sans-serif; fill: #1f2328; }
.place { font-weight: 600; }
.small { font-size: 11px; fill: #59636e; paint-order: stroke; stroke: #ffffff; stroke-width: 3px; stroke-opacity: .8; }
rect { stroke-width: 1; }
.network { fill: #f2f7ff; stroke: #7aa7e0; } .uplink { fill: #f6f8fa; stroke: #8c959f; }
.container { fill: #ffffff; stroke: #4a7fc1; } .port { fill: #e6f6ef; stroke: #0a7d55; }
.peer { fill: #ffffff; stroke: #8c959f; } .host { fill: #fff8e6; stroke: #b7791f; }
.others { fill: none; stroke: #8c959f; stroke-dasharray: 3 3; }
path { fill: none; } .published { stroke: #0a7d55; } .talks { stroke: #6e7781; } .head { fill: #59636e; }
@media (prefers-color-scheme: dark) {
  .ground { fill: #0d1117; } text { fill: #e6edf3; } .small { fill: #9198a1; stroke: #0d1117; }
  .network { fill: #101a2b; stroke: #3d6aa8; } .uplink { fill: #151b23; stroke: #6e7681; }
  .container { fill: #0d1117; stroke: #4a7fc1; } .port { fill: #0d231b; stroke: #2ea67a; }
  .peer { fill: #0d1117; stroke: #6e7681; } .host { fill: #261d0b; stroke: #b7791f; }
  .published { stroke: #2ea67a; } .talks { stroke: #8b949e; } .head { fill: #9198a1; }
}
`
