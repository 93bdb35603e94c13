"""A method from outside: a panorama of colours per timestep, as if all that was filmed were far away."""

from dataclasses import dataclass

import numpy as np
import torch

from neural_render_server.methods.base import Method, RenderedFrame


@dataclass(frozen=True)
class PanoramaConfig:
    rows: int = 128  # of the panorama, which has twice as many columns
    learning_rate: float = 0.2  # how far a step moves a colour towards the pixels seen there


class PanoramaMethod(Method):
    name, label = "panorama", "Panorama"
    background, far = None, 1000.0  # no colour behind it; the depth it tells, in capture units
    description = "One panorama of colours a timestep, without depth: an example of a method from outside."
    config_class, presets = PanoramaConfig, {"default": {}, "small": {"rows": 48}}
    bounds = np.full(3, -far), np.full(3, far)

    def initialise(self, views, seed, report):
        shape = (1, 3, len(views.times), self.config.rows, 2 * self.config.rows)
        self.colors, self.times = torch.full(shape, 0.5, device=self.device), torch.tensor(views.times)
        self.random = torch.Generator().manual_seed(seed)

    def look(self, camera, time):  # the colours (H, W, 3) in the directions of the camera's pixels
        x, y, z = torch.from_numpy(camera.rays()[1]).to(self.device).unbind(-1)
        place = np.interp(time, self.times, np.linspace(-1, 1, len(self.times))) if len(self.times) > 1 else 0
        turn, rise = torch.atan2(y, x) / torch.pi, torch.atan2(z, torch.hypot(x, y)) * 2 / torch.pi
        grid = torch.stack([turn, rise, torch.full_like(x, place)], dim=-1)[None, None]
        return torch.nn.functional.grid_sample(self.colors, grid, align_corners=True)[0, :, 0].movedim(0, -1)

    def train_step(self, views, progress):
        view = int(torch.randint(len(views), (1,), generator=self.random))
        colors = self.colors.requires_grad_()
        seen = self.look(views.cameras[views.camera_indices[view]], views.view_times[view])
        loss = ((seen - torch.tensor(views.rgb(view), device=self.device) / 255) ** 2).mean()
        (gradient,) = torch.autograd.grad(loss * seen.numel() / 2, colors, retain_graph=True)
        (looks,) = torch.autograd.grad(seen.sum(), colors)  # how often each colour was looked at
        self.colors = colors.detach() - self.config.learning_rate * gradient / (looks + 1e-3)
        return {"loss": loss.item()}

    def render(self, camera, time, crop=None):
        color = self.look(camera, time).cpu().numpy()
        opacity = np.full(color.shape[:2], 0 if crop else 1, np.float32)  # no crop box holds infinity
        return RenderedFrame(color * opacity[..., None], opacity, self.far * opacity)

    def tensors(self):
        return {"colors": self.colors, "times": self.times}

    def optimizer_tensors(self):
        return {"random": self.random.get_state()}

    def load(self, tensors, optimizer_tensors):
        self.colors, self.times = tensors["colors"].to(self.device), tensors["times"]
        if optimizer_tensors:
            self.random = torch.Generator().set_state(optimizer_tensors["random"])
