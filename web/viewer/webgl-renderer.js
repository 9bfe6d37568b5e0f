/** Draws films on the graphics processor: 16-bit numbers in a texture, windowed in the shader. */
import { levelFor, pyramid } from "./pyramid.js";

const VERTEX = `#version 300 es
void main() {
  vec2 corner = vec2((gl_VertexID << 1) & 2, gl_VertexID & 2);
  gl_Position = vec4(corner * 2.0 - 1.0, 0.0, 1.0);
}`;

const FRAGMENT = `#version 300 es
precision highp float;
precision highp int;
precision highp usampler2D;
uniform usampler2D film;
uniform int level;        // which halved copy is read
uniform vec2 filmSize;
uniform vec4 back;        // from the screen's directions to the film's, film pixels per screen pixel
uniform vec2 origin;      // screen position of the film's corner
uniform float stageHeight;
uniform float low;
uniform float width;
uniform bool inverted;
uniform float alpha;
uniform vec3 lens;        // middle and radius of the round hole through which it is drawn; radius 0: none
out vec4 colour;

float grey(ivec2 at, ivec2 last) {
  return float(texelFetch(film, clamp(at, ivec2(0), last), level).r);
}

// Integer textures are not filtered by the hardware.
float bilinear(vec2 at) {
  ivec2 size = textureSize(film, level);
  vec2 shifted = at * vec2(size) / filmSize - 0.5;
  ivec2 corner = ivec2(floor(shifted));
  vec2 part = fract(shifted);
  float upper = mix(grey(corner, size - 1), grey(corner + ivec2(1, 0), size - 1), part.x);
  float lower = mix(grey(corner + ivec2(0, 1), size - 1), grey(corner + ivec2(1, 1), size - 1), part.x);
  return mix(upper, lower, part.y);
}

void main() {
  vec2 stage = vec2(gl_FragCoord.x, stageHeight - gl_FragCoord.y);
  if (lens.z > 0.0 && distance(stage, lens.xy) > lens.z) discard;
  vec2 away = stage - origin;
  vec2 at = vec2(dot(back.xy, away), dot(back.zw, away));
  float value = 0.0;
  if (all(greaterThanEqual(at, vec2(0.0))) && all(lessThan(at, filmSize))) {
    value = clamp((bilinear(at) - low) / width, 0.0, 1.0);
    if (inverted) value = 1.0 - value;
  }
  colour = vec4(vec3(value), alpha);
}`;

const UNIFORMS = [
  "film", "level", "filmSize", "back", "origin", "stageHeight", "low", "width", "inverted", "alpha", "lens",
];

function compiled(gl, kind, source) {
  const shader = gl.createShader(kind);
  gl.shaderSource(shader, source);
  gl.compileShader(shader);
  if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS)) throw new Error(gl.getShaderInfoLog(shader));
  return shader;
}

function linked(gl) {
  const program = gl.createProgram();
  gl.attachShader(program, compiled(gl, gl.VERTEX_SHADER, VERTEX));
  gl.attachShader(program, compiled(gl, gl.FRAGMENT_SHADER, FRAGMENT));
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(program));
  return program;
}

export class WebGLRenderer {
  name = "webgl";

  /**
   * Throws where WebGL2 is missing, or, unless ``evenSlow``, where the main processor would have to compute it: the
   * Canvas fallback is the faster then.
   */
  constructor(canvas, { evenSlow = false } = {}) {
    this.canvas = canvas;
    const gl = canvas.getContext("webgl2", {
      alpha: false, antialias: false, depth: false, preserveDrawingBuffer: false, failIfMajorPerformanceCaveat: !evenSlow,
    });
    if (!gl) throw new Error("WebGL2 is not available");
    this.gl = gl;
    this.maxSide = gl.getParameter(gl.MAX_TEXTURE_SIZE);
    this.program = linked(gl);
    this.at = Object.fromEntries(UNIFORMS.map((name) => [name, gl.getUniformLocation(this.program, name)]));
    /** @type {Map<object, {texture: WebGLTexture, levels: number}>} */
    this.textures = new Map();
    gl.bindVertexArray(gl.createVertexArray());
  }

  canShow(film) {
    return film.gridRows <= this.maxSide && film.gridColumns <= this.maxSide && !this.gl.isContextLost();
  }

  begin() {
    const { gl, at } = this;
    gl.viewport(0, 0, this.canvas.width, this.canvas.height);
    gl.disable(gl.SCISSOR_TEST);
    gl.clearColor(0, 0, 0, 1);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.useProgram(this.program);
    gl.activeTexture(gl.TEXTURE0);
    gl.uniform1i(at.film, 0);
    gl.uniform1f(at.stageHeight, this.canvas.height);
    gl.enable(gl.SCISSOR_TEST);
    gl.blendFunc(gl.SRC_ALPHA, gl.ONE_MINUS_SRC_ALPHA);
  }

  /**
   * Draws one film.
   * @param film a layer
   * @param place from placement.js
   * @param look {window, inverted, alpha}
   * @param rect {left, top, width, height}: nothing is drawn outside
   * @param lens {x, y, radius}, or null for all of ``rect``
   */
  paint(film, place, { window, inverted, alpha = 1 }, rect, lens = null) {
    const { gl, at } = this;
    const { texture, levels } = this.#texture(film);
    const [left, top] = [Math.round(rect.left), Math.round(rect.top)];
    const [right, bottom] = [Math.round(rect.left + rect.width), Math.round(rect.top + rect.height)];
    if (right <= left || bottom <= top) return;
    gl.scissor(left, this.canvas.height - bottom, right - left, bottom - top);
    if (alpha < 1) gl.enable(gl.BLEND);
    else gl.disable(gl.BLEND);
    gl.bindTexture(gl.TEXTURE_2D, texture);
    const [a, b, c, d] = place.turn.map((value) => value / place.scale);
    gl.uniform1i(at.level, levelFor(film, place.scale, levels));
    gl.uniform2f(at.filmSize, film.columns, film.rows);
    gl.uniform4f(at.back, a, b, c, d);
    gl.uniform2f(at.origin, place.left, place.top);
    gl.uniform1f(at.low, window.low);
    gl.uniform1f(at.width, window.high - window.low);
    gl.uniform1i(at.inverted, inverted ? 1 : 0);
    gl.uniform1f(at.alpha, alpha);
    gl.uniform3f(at.lens, lens?.x ?? 0, lens?.y ?? 0, lens?.radius ?? 0);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  }

  /** Gives the memory of a film back that is not shown again. */
  forget(film) {
    const known = this.textures.get(film);
    if (known) this.gl.deleteTexture(known.texture);
    this.textures.delete(film);
  }

  #texture(film) {
    const { gl } = this;
    const known = this.textures.get(film);
    if (known) return known;
    const texture = gl.createTexture();
    gl.bindTexture(gl.TEXTURE_2D, texture);
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.NEAREST_MIPMAP_NEAREST);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.NEAREST);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE);
    const levels = pyramid(film);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAX_LEVEL, levels.length - 1);
    levels.forEach(({ rows, columns, values }, level) => {
      gl.texImage2D(gl.TEXTURE_2D, level, gl.R16UI, columns, rows, 0, gl.RED_INTEGER, gl.UNSIGNED_SHORT, values);
    });
    const made = { texture, levels: levels.length };
    this.textures.set(film, made);
    return made;
  }
}
